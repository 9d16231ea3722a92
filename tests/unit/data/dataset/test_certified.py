"""Coverage of recorder runs in words, and how a dataset that grows keeps it."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_platform.data.dataset.certified import CertifiedRun, coverage_words, joined_runs
from kalshi_platform.data.dataset.manifest_text import ManifestText

S = 10**9
T0 = 1_793_620_800 * S


def run(name: str, wanted_s: int = 100, proven_s: int = 99, **fields) -> CertifiedRun:
    return CertifiedRun(
        run=name, first_ns=T0, last_ns=T0 + 100 * S, markets=3, wanted_ns=wanted_s * S,
        proven_ns=proven_s * S, holes=2, **fields,
    )  # fmt: skip


def test_a_run_says_when_how_much_and_which_market_had_least():
    words = run("20261102T120000000Z-ab12", least_market="M-1", least_wanted_ns=30, least_proven_ns=20).words
    assert words.startswith("20261102T120000000Z-ab12: 2026-11-02 12:00")
    assert "99.00 % of the wanted time of 3 markets proven, least M-1 66.66 %; 2 holes" in words


def test_a_share_is_rounded_down_so_that_100_means_all():
    assert "99.99 %" in coverage_words([run("a", 10**6, 10**6 - 1)])
    assert "100.00 %" in coverage_words([run("a", 100, 100)])


def test_all_runs_together_and_none():
    assert coverage_words([run("a", 100, 50), run("b", 300, 300)]).startswith(
        "87.50 % of the wanted time of 2 recorded runs has a proven book"
    )
    assert coverage_words([]) == ""
    assert coverage_words([run("a", 0, 0)]) == "1 recorded run: no market was wanted, nothing is covered"


@given(before=st.sets(st.sampled_from("abcd")), now=st.sets(st.sampled_from("abcd")))
def test_a_run_that_is_certified_again_replaces_what_was_kept(before, now):
    joined = joined_runs([run(name) for name in before], [run(name, 200, 150) for name in now])
    assert [r.run for r in joined] == sorted(before | now)
    assert {r.run for r in joined if r.wanted_ns == 200 * S} == now


def test_a_manifest_without_recordings_keeps_its_bytes():
    text = ManifestText(feature_digest="x", n_markets=0, n_events=0, tables=(), files=(), counters={})
    assert "recordings" not in text.model_dump(mode="json")
    assert text.replace(recordings=(run("a"),)).model_dump(mode="json")["recordings"][0]["run"] == "a"
