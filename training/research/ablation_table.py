"""The table of an ablation, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.config import TrainingConfig, to_mapping
from training.cost import ROUNDS, Cost
from training.evaluation.files import as_card_entries
from training.evaluation.score import SetResult
from training.evaluation.words import TITLES, main_rows, number, protocol
from training.machine import processor

SPLIT = "validation"
SHOWN = {name: title for name, title in TITLES.items() if name != "coverage"}


@dataclass(frozen=True)
class Candidate:
    """One line of the table.

    Attributes:
        name: of the configuration's file.
        config: of its run.
        encoder: name of the backbone.
        cost: at the size of training.
        results: one for each validation set, in the order of the configuration.
    """

    name: str
    config: TrainingConfig
    encoder: str
    cost: Cost
    results: Sequence[SetResult]


def as_markdown(candidates: Sequence[Candidate], paths: Sequence[str]) -> str:
    """What each candidate is and costs; then, for each validation set, how well it does.

    Args:
        candidates: at least one; all have results for the same validation sets.
        paths: of the validation sets, as the configurations name them.
    """
    lines = [
        "# Ablation",
        "",
        "One line for each configuration. GMACs: multiply-accumulates of one picture in "
        "convolutions and matrix products, in thousands of millions. CPU ms: one picture on ONNX "
        f"Runtime, float32, one thread of {processor()}, fastest of {ROUNDS}. All at the size "
        "of training.",
        "",
        _line(
            *("network", "encoder", "weights before", "loss", "steps x pictures", "seed"),
            *("height x width", "parameters", "GMACs", "CPU ms"),
        ),
        _line(*["---"] * 4, *["--:"] * 6),
        *(_cost_line(candidate) for candidate in candidates),
    ]
    for place, path in enumerate(paths):
        lines += ["", *_set_lines(candidates, place, path)]
    return "\n".join(lines) + "\n"


def _cost_line(candidate: Candidate) -> str:
    config, cost = candidate.config, candidate.cost
    return _line(
        candidate.name,
        candidate.encoder,
        config.encoder_weights,
        config.loss.name,
        f"{config.optimizer.steps} x {config.optimizer.batch_size}",
        str(config.seed),
        f"{cost.height} x {cost.width}",
        f"{cost.parameters:,}",
        f"{cost.macs / 1e9:.2f}",
        f"{cost.cpu_ms:.1f}",
    )


def _set_lines(candidates: Sequence[Candidate], place: int, path: str) -> list[str]:
    """The tables of one data set: as predicted, then with each frame's median aligned."""
    first = candidates[0].results[place]
    lines = [
        f"## {path}",
        "",
        f"{protocol(first, SPLIT)}. Metrics of each frame at the picture's size, then their mean.",
    ]
    for alignment in ("none", "median"):
        lines += [
            "",
            f"Alignment: {alignment}.",
            "",
            _line("network", *SHOWN.values()),
            _line("---", *["--:"] * len(SHOWN)),
        ]
        for candidate in candidates:
            model, constant = _rows(candidate.results[place], alignment)
            lines.append(_line(candidate.name, *_numbers(model.metrics)))
        lines.append(_line(f"constant: {constant.predictor}", *_numbers(constant.metrics)))
    return lines


def as_entries(candidates: Sequence[Candidate], paths: Sequence[str]) -> dict[str, Any]:
    """The same for programs, with the whole configurations."""
    return {
        "processor": processor(),
        "candidates": [
            {
                "name": candidate.name,
                "encoder": candidate.encoder,
                "cost": asdict(candidate.cost),
                "metrics": [
                    {"path": path, **entry}
                    for path, result in zip(paths, candidate.results, strict=True)
                    for entry in as_card_entries(result, SPLIT)
                ],
                "config": to_mapping(candidate.config),
            }
            for candidate in candidates
        ],
    }


def _rows(result: SetResult, alignment: str) -> list[Any]:
    """The model's line and the constant's."""
    return [row for row in main_rows(result) if row.alignment == alignment]


def _numbers(metrics: dict[str, float]) -> list[str]:
    return [number(metrics[name]) for name in SHOWN]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
