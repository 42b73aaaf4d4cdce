"""Write the interfaces of the compiled contracts to `pictor/chain/abi/`, where the library reads them. Run by `make abi`."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "pictor" / "chain" / "abi"


def canonical(abi: list[dict[str, Any]]) -> str:
    """An interface as the files have it: a line for each entry, sorted by type and name."""
    lines = [json.dumps(entry, sort_keys=True) for entry in sorted(abi, key=lambda e: (e["type"], e.get("name", ""), json.dumps(e)))]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def compiled() -> dict[str, str]:
    """The files' contents by name, as they should be."""
    from ape import Project

    from pictor.chain.interfaces import CONTRACTS

    project = Project(FOLDER.parents[2])
    return {
        name: canonical([entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in project.contracts[name].abi])
        for name in CONTRACTS
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in compiled().items():
        (FOLDER / f"{name}.json").write_text(text)
