"""Problems that come one by one are counted, end by themselves, and are told again at the end."""

from kalshi_platform.trading.session.repeated_problems import QUIET_NS, RepeatedProblems

NOON_NS = 1_796_040_000_000_000_000  # 2026-11-30 12:00:00 UTC


def test_a_problem_says_how_many_and_when_and_is_over_after_a_while_without_another():
    shown = {"the disk": "full"}
    problems = RepeatedProblems(shown)
    problems.add("a frame was refused", "no market", NOON_NS - 1)
    problems.add("a frame was refused", "no sid", NOON_NS)
    assert shown["a frame was refused"] == "2 so far, the newest at 2026-11-30 12:00:00 UTC: no sid"
    problems.end_quiet(NOON_NS + QUIET_NS)
    assert "a frame was refused" in shown
    problems.end_quiet(NOON_NS + QUIET_NS + 1)
    assert shown == {"the disk": "full"}
    problems.add("a frame was refused", "x" * 900, NOON_NS + 2 * QUIET_NS)
    assert shown["a frame was refused"].startswith("3 so far")
    assert len(shown["a frame was refused"]) < 300


def test_the_end_tells_the_problems_that_are_over():
    shown: dict[str, str] = {}
    problems = RepeatedProblems(shown)
    problems.add("a frame was refused", "no sid", NOON_NS)
    problems.end_quiet(NOON_NS + 2 * QUIET_NS)
    problems.show_all()
    assert shown["a frame was refused"].startswith("1 so far")
