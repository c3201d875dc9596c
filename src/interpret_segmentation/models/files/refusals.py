"""How a model file is refused."""

from __future__ import annotations

from pathlib import Path

Shape = tuple[int | None, ...]

WAY_OUT = (
    "save the network as TorchScript, with torch.export or as ONNX, or write a function that builds it and "
    "loads its weights with torch.load(path, weights_only=True), and pass 'package.module:function'"
)


def damaged(path: Path, kind: str, error: Exception) -> ValueError:
    """The error for a file that cannot be opened."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ValueError(
        f"{path} cannot be opened as {kind}: {reason}; export the model again with this PyTorch"
    )


def only_input(names: list[str]) -> str:
    """The one input of a model; a ValueError when it takes more."""
    if len(names) != 1:
        raise ValueError(
            f"the model must take one tensor of images, but it takes {len(names)}: {', '.join(names)}; "
            "export it with the others fixed"
        )
    return names[0]
