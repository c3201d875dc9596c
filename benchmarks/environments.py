"""Environments of the peers that cannot share ours, built when they are first needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / ".envs"


@dataclass(frozen=True)
class Environment:
    """What is installed for a peer.

    Attributes:
        name: Of the folder.
        packages: Installed without what they ask for themselves, so that nobody replaces torch.
        needs: What they ask for, at the versions in ``constraints.txt``.
        stand_ins: Modules of ours, by the path inside ``site-packages`` that they stand in for.
    """

    name: str
    packages: tuple[str, ...]
    needs: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is."""
        return FOLDER / self.name

    def python(self) -> Path:
        """Its interpreter; the environment is built when it is missing or was built for something else."""
        binaries = self.folder / ("Scripts" if os.name == "nt" else "bin")
        python = binaries / ("python.exe" if os.name == "nt" else "python")
        built = self.folder / ".installed"
        if not built.exists() or built.read_text(encoding="utf-8") != self._recipe():
            self._build(python)
            built.write_text(self._recipe(), encoding="utf-8")
        return python

    def _build(self, python: Path) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        venv.create(self.folder, with_pip=True)
        constraints = str(ROOT / "constraints.txt")
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-c", constraints, *self.needs], check=True)
        subprocess.run([*install, "--no-deps", *self.packages], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = self.folder / ("Lib/site-packages" if os.name == "nt" else f"lib/{version}/site-packages")
        for path, source in self.stand_ins:
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(__file__).parent / source, site / path)

    def _recipe(self) -> str:
        texts = [(Path(__file__).parent / source).read_text(encoding="utf-8") for _, source in self.stand_ins]
        constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
        return "\n".join([sys.version, *self.packages, *self.needs, constraints, *texts])


RELEASE = Environment(
    "release-1.0.0",
    packages=("interpret-segmentation==1.0.0",),
    needs=("torch", "numpy", "scipy", "scikit-image", "matplotlib", "Pillow", "tqdm"),
    stand_ins=(("torchvision/transforms.py", "torchvision_stand_in.py"),),
)
CAPTUM = Environment(
    "captum",
    packages=("captum==0.9.0",),
    needs=("torch", "numpy", "scipy", "matplotlib", "Pillow", "tqdm", "packaging"),
)
