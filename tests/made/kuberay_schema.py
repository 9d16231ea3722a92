"""The parts of KubeRay's schemas that cluster/kuberay uses: kuberay_schema.json, written by this script.

    python tests/made/kuberay_schema.py ../shared/kuberay

reads the full schemas (ray-project/kuberay, Apache-2.0) there and keeps, of each, the fields of our manifests
with their types, enums and required keys. Repeat it after adding a field to a manifest.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TRIMMED = Path(__file__).with_suffix(".json")
MANIFESTS = {
    "RayCluster": ROOT / "cluster" / "kuberay" / "raycluster.yaml",
    "RayJob": ROOT / "cluster" / "kuberay" / "rayjob.yaml",
    "RayService": ROOT / "cluster" / "kuberay" / "rayservice.yaml",
}


def manifest(kind: str) -> dict[str, Any]:
    """Our manifest of ``kind``."""
    return yaml.safe_load(MANIFESTS[kind].read_text())


def full_schema(folder: Path, kind: str) -> dict[str, Any]:
    """KubeRay's schema of ``kind``."""
    with gzip.open(folder / f"{kind}.v1.schema.json.gz") as file:
        return json.load(file)


def trimmed(schema: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """``schema`` without the properties that none of ``values`` has; open objects stay open."""
    kept = {key: value for key, value in schema.items() if key not in ("properties", "items")}
    if "properties" in schema:
        objects = [value for value in values if isinstance(value, dict)]
        kept["properties"] = {
            name: trimmed(inner, [each[name] for each in objects if name in each])
            for name, inner in schema["properties"].items()
            if any(name in each for each in objects)
        }
    if "items" in schema:
        kept["items"] = trimmed(
            schema["items"], [item for value in values if isinstance(value, list) for item in value]
        )
    return kept


def unknown_keys(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of keys the schema does not name, where it names keys at all."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_keys(item, schema.get("items", {}), f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    named = schema.get("properties")
    rest = schema.get("additionalProperties")
    is_open = rest is not None or schema.get("x-kubernetes-preserve-unknown-fields", False)
    for key, inner in value.items():
        if named is not None and key in named:
            yield from unknown_keys(inner, named[key], f"{path}.{key}")
        elif named is not None and not is_open:
            yield f"{path}.{key}"
        elif isinstance(rest, dict):
            yield from unknown_keys(inner, rest, f"{path}.{key}")


def derive(folder: Path) -> dict[str, Any]:
    """kind -> trimmed schema, of the full schemas in ``folder``."""
    return {kind: trimmed(full_schema(folder, kind), [manifest(kind)]) for kind in MANIFESTS}


if __name__ == "__main__":
    lines = [f'"{kind}": {json.dumps(kept)}' for kind, kept in derive(Path(sys.argv[1])).items()]
    TRIMMED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
