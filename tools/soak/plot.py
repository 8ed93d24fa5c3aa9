"""What a node held over a soak, drawn."""

from __future__ import annotations

from pathlib import Path

from samples import STEADY, Samples


def draw(samples: Samples, events: list[tuple[float, str]], path: Path) -> None:
    """Memory above, threads, handles and shared files below; a line where each fault began.

    Args:
        samples: of the node.
        events: seconds since the start, and the fault that began.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (memory, counts) = plt.subplots(
        2, 1, sharex=True, figsize=(10, 6), layout="constrained"
    )
    minutes = [second / 60.0 for second in samples.seconds]
    memory.plot(minutes, samples.rss_mb, label="in RAM")
    memory.plot(minutes, samples.private_mb, label="of these not shared")
    memory.set_ylabel("MB")
    for name in STEADY:
        counts.plot(
            minutes, getattr(samples, name), label=name.replace("_", " "), drawstyle="steps"
        )
    counts.set_xlabel("minutes; a grey line where a fault begins")
    for axes in (memory, counts):
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower right")
        for second, _ in events:
            axes.axvline(second / 60.0, color="0.85", linewidth=0.8, zorder=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)
