"""The figure of the documentation that is not a study's: the modes of H on the way to jamming.

python docs/make_figures.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import unijam as uj
from unijam.figures.comparison import COLOURS, GREY, STYLE, TITLES

SYSTEMS = {
    "spheres": uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9, seed=0),
    "ellipses": uj.Ellipses.random(n=64, aspect_ratio=1.4, packing_fraction=1.0, seed=0),
    "network": uj.FullyConnected.random(depth=2, width=8, input_dimension=8, n_data=200, seed=0),
}


def modes_on_the_way(system):
    """For each state on the way to jamming its typical overlap, the modes of H, and how many H0 does not hold."""
    for state in uj.jam(system).states:
        hessian = uj.decompose_hessian(state.system, state.x)
        modes = hessian.eigenvalues("total", symmetries=False)
        yield state.typical_overlap / state.system.unit, modes, hessian.kernel.shape[1]


def softest_modes(path: Path) -> None:
    """Eigenvalues of H against the typical overlap; those that H0 does not hold in colour."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True)
        for ax, (name, system) in zip(axes, SYSTEMS.items(), strict=True):
            for overlap, modes, n_kernel in modes_on_the_way(system):
                for part, colour in ((modes[n_kernel:], GREY), (modes[:n_kernel], COLOURS[name])):
                    ax.plot(np.full(part.size, overlap), part, "_", ms=8, mew=0.5, color=colour, alpha=0.6)
            line = np.geomspace(1e-8, 1, 2)
            ax.plot(line, line, "--", lw=0.8, color="black", label=r"$\propto\sqrt{2U/N_\Delta}$")
            ax.set(xscale="log", yscale="log", xlim=(2, 8e-10), ylim=(1e-13, 3e2))
            ax.set_title(TITLES[name], color=COLOURS[name], fontweight="bold")
            ax.set_xlabel(r"typical overlap $\sqrt{2U/N_\Delta}$ $\rightarrow$ jamming")
            ax.text(
                0.04,
                0.02,
                f"{n_kernel} modes on the kernel of $H_0$",
                transform=ax.transAxes,
                color=COLOURS[name],
            )
        axes[0].set_ylabel("eigenvalues of $H$")
        axes[0].legend(loc="lower right", bbox_to_anchor=(1.0, 0.12))
        figure.tight_layout()
        figure.savefig(path, dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    softest_modes(Path(__file__).with_name("softest_modes.png"))
