"""Animations of packings."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..particles.formats.common import written_whole
from ..particles.packing import Packing
from ..support.validation import require
from .packings import plot_packing, proportions
from .scene import INK


def animate_jamming(
    result: Any,
    path: str | os.PathLike[str],
    *,
    forces: bool | None = None,
    frames_per_second: float = 2.0,
    size: float = 5.0,
    colour: Any = None,
) -> Path:
    """Write the states on the way to jamming as an animated GIF that repeats; the last one is shown longer.

    Parameters
    ----------
    result : JamResult
        Result of `jam` for a packing, or a sequence of states that have a `system` and an `x`.
    path : path
        Written whole or not at all.
    forces, colour
        As in `plot_packing`. Widths are relative to the mean force of each state, which falls with the pressure.
    frames_per_second : float
    size : float
        The longer side of the picture, in inches at 100 dots an inch.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    ValueError
        Where there is no state, a number is out of range, or the folder does not exist.

    Examples
    --------
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=16, packing_fraction=0.9))
    >>> uj.animate_jamming(packing, "packing.gif", size=1).suffix
    '.gif'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    states = list(getattr(result, "states", result))
    require(len(states) > 0, "states", states, "at least one")
    require(0 < frames_per_second <= 50, "frames_per_second", frames_per_second, "above 0, at most 50")
    require(1 <= size <= 20, "size", size, "from 1 to 20 inches")
    wide, high = size * np.maximum(proportions(states[0].system), [0.6, 0.0])  # room for the caption
    head = 0.06 * size
    canvas = FigureCanvasAgg(Figure(figsize=(wide, high + head), dpi=100))
    threshold = getattr(result, "threshold", None)
    images = []
    for state in states:
        canvas.figure.clear()
        ax = canvas.figure.add_axes((0.02, 0.01, 0.96, 0.98 * high / (high + head)))
        plot_packing(state.system, state.x, ax, forces=forces, colour=colour)
        text = _caption(state.system, threshold)
        place = (0.5, 1.0 - 0.6 * head / (high + head))
        canvas.figure.text(*place, text, ha="center", va="center", color=INK, size=min(11.0, 3.6 * wide))
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        images.append(Image.fromarray(pixels).convert("RGB"))
    each = round(1000 / frames_per_second)
    durations = [each] * (len(images) - 1) + [each + 1500]
    with written_whole(path) as partial:
        images[0].save(
            partial, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0
        )
    return Path(path)


def _caption(system: Packing, threshold: float | None) -> str:
    """The caption: φ and, where the threshold is known, φ − φ_J."""
    text = rf"$\phi$ = {system.packing_fraction:.4f}"
    if threshold is None or system.packing_fraction == threshold:
        return text
    above = system.packing_fraction - threshold
    exponent = int(np.floor(np.log10(abs(above))))
    return text + rf"$\qquad\phi - \phi_{{\rm J}}$ = {above / 10.0**exponent:.1f} · 10$^{{{exponent}}}$"
