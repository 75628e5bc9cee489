"""`kinora plan`: what the training of a recipe's transformer takes, before anything starts."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cli.options import RecipeName, Settings, chosen

if TYPE_CHECKING:
    from kinora.training.plan import Plan

GB = 1e9


def plan(argv: Sequence[str]) -> int:
    """Run `kinora plan`."""
    code: int = tyro.cli(plan_training, prog="kinora plan", args=argv)
    return code


def plan_training(
    recipe: RecipeName = "base",
    settings: Settings = (),
    gpus: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: those of the recipe)")] = None,
    gpu: Annotated[str, tyro.conf.arg(metavar="NAME")] = "h200",
    mfu: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 0.4,
    hourly_price: Annotated[float | None, tyro.conf.arg(metavar="PRICE", help_behavior_hint="(optional)")] = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Say what a training of the transformer takes, and refuse one that will not fit.

    Nothing is trained or loaded: the network is run without memory.

    Args:
        gpus: How many GPUs there are, in nodes of 8.
        gpu: Which one: a100-40, a100-80, h100, h200, b200, l40s, rtx4090, or cpu for a core.
        mfu: Share of the GPU's peak that useful work reaches. It is assumed, not measured.
        hourly_price: Of one GPU, in any currency.
        as_json: Print the plan as JSON.
    """
    from kinora.training.hardware import hardware
    from kinora.training.plan import longest_clip, on
    from kinora.training.plan import plan as make

    found = chosen(recipe, settings)
    compute = found.compute if gpus is None else on(found.compute, gpus)
    clip = longest_clip(found.ingest, found.grid)
    planned = make(found.name, found.transformer, compute, clip, hardware(gpu), mfu, hourly_price)
    if as_json:
        print(json.dumps(figures(planned), indent=2))
    else:
        print(table(planned))
    planned.check()
    return 0


def figures(plan: "Plan") -> dict[str, Any]:
    """Return the plan's figures under the names of its JSON: bytes, seconds, and counts."""
    config, compute = plan.config, plan.compute
    return {
        "recipe": plan.recipe,
        "gpu": plan.hardware.name,
        "gpus": plan.gpus,
        "nodes": compute.nodes,
        "zero_stage": compute.zero_stage,
        "sequence_parallel": compute.sequence_parallel,
        "activation_checkpointing": compute.activation_checkpointing,
        "parameters": plan.counts.total,
        "parameters_by_part": plan.counts.parts,
        "steps": config.steps,
        "tokens_per_step": config.tokens_per_step,
        "tokens_per_pack": config.tokens_per_pack,
        "tokens": plan.tokens,
        "longest_clip_tokens": plan.clip[0] * plan.clip[1] * plan.clip[2],
        "flops_per_token": plan.flops_per_token,
        "memory_bytes": plan.memory,
        "memory_bytes_total": sum(plan.memory.values()),
        "memory_bytes_available": plan.room,
        "fits": plan.fits,
        "assumed_mfu": plan.mfu,
        "mfu": plan.reached,
        "tokens_per_s": plan.tokens_per_s,
        "hours": plan.hours,
        "cost": plan.cost,
    }


def table(plan: "Plan") -> str:
    """Return the plan for people."""
    config, compute, counts = plan.config, plan.compute, plan.counts
    frames, rows, columns = plan.clip
    how = [f"ZeRO {compute.zero_stage}"]
    how += [f"{compute.sequence_parallel} GPUs share a pack"] if compute.sequence_parallel > 1 else []
    how += ["activation checkpointing"] if compute.activation_checkpointing else []
    nodes = f"{compute.nodes} node{'s' if compute.nodes > 1 else ''} of {compute.processes}"
    lines = [
        f"{plan.recipe} on {plan.gpus} x {plan.hardware.name} ({nodes}; {', '.join(how)})",
        "",
        *_rows("Parameters", {name: f"{value / 1e6:,.1f} M" for name, value in counts.parts.items()}),
        _row("together", f"{counts.total / 1e6:,.1f} M", f"Muon trains {counts.muon / counts.total:.0%}"),
        "",
        "Data",
        _row("tokens a step", f"{config.tokens_per_step:,}", f"{config.packs} packs of {config.tokens_per_pack:,}"),
        _row("tokens in all", f"{plan.tokens / 1e9:,.2f} G", f"{config.steps:,} steps"),
        _row("longest clip", f"{frames * rows * columns:,} tokens", f"{frames} x {rows} x {columns} patches"),
        "",
        *_rows("Memory of each GPU", {name: f"{value / GB:,.2f} GB" for name, value in plan.memory.items() if value}),
        _row("together", f"{sum(plan.memory.values()) / GB:,.2f} GB", f"of {plan.room / GB:,.1f} GB for tensors"),
        "",
        "Time",
        _row("operations a token", f"{plan.flops_per_token / 1e9:,.2f} G", "attention as among the longest clips"),
        _row("MFU", f"{plan.reached:.1%}", _why(plan)),
        _row("tokens a second", f"{plan.tokens_per_s:,.0f}"),
        _row("hours", f"{plan.hours:,.1f}", f"{plan.hours * plan.gpus:,.0f} GPU hours"),
    ]
    if plan.cost is not None:
        lines.append(_row("cost", f"{plan.cost:,.0f}", f"at {plan.hourly_price:g} a GPU and hour"))
    return "\n".join(lines)


def _why(plan: "Plan") -> str:
    reasons = [f"assumed: {plan.mfu:.0%}"]
    reasons += ["forward is computed twice"] if plan.compute.activation_checkpointing else []
    reasons += [f"{1 - plan.busy:.0%} of the time GPUs have no pack"] if plan.busy < 1 else []
    return "; ".join(reasons)


def _rows(title: str, values: dict[str, str]) -> list[str]:
    return [title, *(_row(name, value) for name, value in values.items())]


def _row(name: str, value: str, note: str = "") -> str:
    return f"  {name:<24}{value:>16}   {note}".rstrip()
