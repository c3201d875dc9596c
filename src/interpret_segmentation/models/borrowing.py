"""Lends a model to us: inside the block it is ours to ask, afterwards it is as it was, also on error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy

from interpret_segmentation._warnings import warn

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)
"""Where a module keeps its hooks."""


class Hooks:
    """The hooks of some modules, so that those which come later can be taken away again.

    Attributes:
        adopted: Modules that nobody knew of and that were asked while `adopt` lasted.

    A network may put hooks on itself when it is first asked, as those of transformers do, and need them from
    then on. So what counts are the hooks after its first answer.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = modules
        self._own: list[tuple[dict[int, Any], list[int]]] = []
        self.adopted: dict[nn.Module, tuple[bool, list[Buffer]]] = {}

    @contextmanager
    def adopt(self) -> Iterator[None]:
        """Borrow whatever modules are asked as long as the block lasts, wherever they were hidden."""
        known = set(self._modules)
        if any(is_compiled(module) for module in known):
            yield  # what is compiled would be compiled anew for this
            return

        def take(module: nn.Module, _: Any) -> None:
            if module not in known and module not in self.adopted and training_of(module):
                kept = Buffer.all_of(module)
                self.adopted[module] = True, kept
                module.training = False

        handle = register_module_forward_pre_hook(take)
        try:
            yield
        finally:
            handle.remove()

    def give_back_adopted(self) -> None:
        """Adopted modules as they were."""
        for module, (flag, buffers) in self.adopted.items():
            restore(buffers)
            module.training = flag

    def keep(self) -> None:
        """Those that are there now are the network's own."""
        self._own = [(known, list(known)) for module in self._modules for known in _hooks(module)]

    def remove_others(self) -> None:
        """Take away all that have come since."""
        for known, own in self._own:
            for number in [number for number in known if number not in own]:
                del known[number]


@contextmanager
def borrow(models: object, *, compiled: bool = False) -> Iterator[Hooks]:
    """Inside the block the model is in evaluation mode and records no gradients of its weights.

    On the way out, also by an error, every training flag, buffer, ``.grad`` and ``requires_grad``, and the
    random state, are as they were, and hooks as they were when `Hooks.keep` was called. What was compiled is
    asked as it was written, for it would be compiled anew for every size.

    Args:
        models: A module, or several; of anything else nothing is known.
        compiled: What was compiled is asked so; whoever asks keeps to few sizes.
    """
    roots = [one for one in (models if isinstance(models, tuple | list) else (models,)) if is_module(one)]
    modules = list(dict.fromkeys(module for root in roots for module in root.modules()))
    flags = [training_of(module) for module in modules]
    hooks = Hooks(modules)
    weights = [
        weight
        for root in roots
        for weight in module_tensors(root)
        if isinstance(weight, nn.Parameter) and _can_be_changed(weight)
    ]
    gradients = [(weight, weight.grad, weight.requires_grad) for weight in weights]
    buffers = [buffer for root in roots for buffer in copied_buffers(root)]
    device = next((tensor.device for root in roots for tensor in module_tensors(root)), torch.device("cpu"))
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.no_grad(),
        nullcontext() if compiled else _nothing_compiled(),
    ):
        try:
            for root in roots:
                if any(training_of(module) for module in root.modules()):
                    evaluate(root)
            for weight, _, records in gradients:
                weight.grad = None
                if records:  # so that a backward pass towards the image leaves nothing on the weights
                    weight.requires_grad_(False)
            yield hooks
        finally:
            for module, flag in zip(modules, flags, strict=True):
                if training_of(module) != flag:
                    module.training = flag
            hooks.remove_others()
            hooks.give_back_adopted()
            for weight, gradient, records in gradients:
                if weight.requires_grad != records:
                    weight.requires_grad_(records)
                weight.grad = gradient
            if restore(buffers):
                warn(
                    "the model changed its buffers while it was asked, so that its answers may depend on "
                    "what it was asked before; they are put back as they were"
                )


def is_module(model: object) -> TypeGuard[nn.Module]:
    """Whether something is a module of PyTorch."""
    return isinstance(model, nn.Module)


def is_compiled(module: nn.Module) -> bool:
    """Whether `torch.compile` has wrapped a module, or compiled it in place."""
    in_place = getattr(module, "_compiled_call_impl", None) is not None
    return in_place or type(module).__name__ == "OptimizedModule"


def training_of(module: nn.Module) -> bool:
    """Whether a module is in training mode; a frozen script has no mode any more."""
    return bool(getattr(module, "training", False))


def evaluate(module: nn.Module) -> None:
    """Evaluation mode for all that has a mode; frozen and exported programs have theirs for good."""
    try:
        module.eval()
    except (AttributeError, NotImplementedError):  # raised half-way, by whatever is inside
        if hasattr(module, "training"):
            module.training = False
        for child in module.children():
            evaluate(child)


@contextmanager
def _nothing_compiled() -> Iterator[None]:
    """Functions that `torch.compile` has made run as they were written, as long as the block lasts."""
    compiler = sys.modules.get("torch._dynamo")
    stance = getattr(torch.compiler, "set_stance", None)  # since PyTorch 2.6
    if compiler is None or stance is None:
        yield
        return
    with stance("force_eager"):
        yield


def _can_be_changed(weight: Tensor) -> bool:
    return not is_lazy(weight) and not weight.is_inference()


def _hooks(module: nn.Module) -> list[dict[int, Any]]:
    return [vars(module)[name] for name in HOOKS if name in vars(module)]


@dataclass(frozen=True, eq=False)
class Buffer:
    """A buffer as it was."""

    module: nn.Module
    name: str
    tensor: Tensor
    version: int
    copy: Tensor

    @staticmethod
    def all_of(module: nn.Module) -> list[Buffer]:
        """The module's own buffers, without those of the modules in it."""
        return [
            Buffer(module, name, buffer, buffer._version, buffer.clone())
            for name, buffer in module.named_buffers(recurse=False)
            if not buffer.is_inference() and not is_lazy(buffer)
        ]

    def was_changed(self) -> bool:
        """Whether something was written into it; some operations do not count as writing."""
        if self.tensor._version != self.version:
            return True
        return not torch.equal(self.tensor, self.copy) and bool(
            (~((self.tensor == self.copy) | (self.tensor.isnan() & self.copy.isnan()))).any()
        )

    def was_replaced(self) -> bool:
        """Whether the module has another tensor of that name; a scripted module always shows another one."""
        scripted = isinstance(self.module, torch.jit.ScriptModule)
        return not scripted and getattr(self.module, self.name, None) is not self.tensor


def copied_buffers(model: object) -> list[Buffer]:
    """Every buffer of a module with a copy, but for those that cannot be changed.

    Nothing of a lazy module, which takes its shape when it is first asked.
    """
    if not isinstance(model, nn.Module) or any(map(is_lazy, [*model.parameters(), *model.buffers()])):
        return []
    return [
        Buffer(module, name, buffer, buffer._version, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not buffer.is_inference()
    ]


def restore(buffers: list[Buffer]) -> bool:
    """Put back what was changed; whether anything was."""
    changed = [one for one in buffers if one.was_changed()]
    replaced = [one for one in buffers if one.was_replaced()]
    for one in changed:
        one.tensor.copy_(one.copy)
    for one in replaced:
        one.module._buffers[one.name] = one.tensor
    return bool(changed or replaced)


def mixes_images(model: object) -> bool:
    """Whether a module normalises by all images of a batch, so that an answer depends on those beside it."""
    return isinstance(model, nn.Module) and any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
        for module in model.modules()
    )


def module_tensors(model: object) -> Iterator[Tensor]:
    """The weights and buffers of a module, and the constants of a frozen one; nothing of a function."""
    if isinstance(model, nn.Module):
        yield from model.parameters()
        yield from model.buffers()
        for module in model.modules():
            if isinstance(module, torch.jit.ScriptModule) and not hasattr(module, "training"):
                yield from _constants(module)


def _constants(module: torch.jit.ScriptModule) -> Iterator[Tensor]:
    """What were the weights of a frozen module."""
    graph: Any = module.graph  # whose types do not tell all that it has
    for node in graph.findAllNodes("prim::Constant"):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            yield node.t("value")
