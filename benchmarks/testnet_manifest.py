"""Writes down size and SHA-256 of every file in `testnet-data/`, which the package checks downloads by.

python -m benchmarks.testnet_manifest
"""

from __future__ import annotations

import hashlib
import json

from interpret_segmentation.testnet.more import CHECKOUT, MANIFEST


def main() -> None:
    """Write the manifest anew."""
    files = sorted(path for path in CHECKOUT.rglob("*") if path.suffix in (".safetensors", ".jsonl"))
    told = {
        path.relative_to(CHECKOUT).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }
    MANIFEST.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"{len(told)} files, {sum(one['bytes'] for one in told.values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
