"""The table of thresholds in docs/gates.md, made from the settings themselves."""

from kalshi_platform.evaluation.promotion.gates import GateConfig


def settings_table() -> str:
    """Return the Markdown table: name, default and meaning of every threshold."""
    config = GateConfig()
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in GateConfig.model_fields.items():
        lines.append(f"| `{name}` | {_shown(getattr(config, name))} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
