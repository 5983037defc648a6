"""Granular and deep-learning jamming side by side: discs, ellipses, a deep network, a perceptron, jammed alike.

    python studies/spheres_vs_nets.py [--quick] [--seeds N] [--device cpu] [--output results]

Rows of the figure: the count on the way to jamming, the spectrum there, Hp on the kernel of H0, and P±(Δ).
"""

import argparse
import sys
import time
from pathlib import Path

from unijam.ensemble import Recipe, ensemble, measure_jammed
from unijam.reports.comparison import Comparison

ORDER = ("spheres", "ellipses", "network", "perceptron")


def configuration(quick: bool, seeds: int | None, device: str) -> dict[str, tuple[Recipe, int]]:
    """A recipe and a number of seeds for each system, the slowest system first."""
    width, n_data, n_discs, n_ellipses, n_weights = (6, 170, 64, 32, 60) if quick else (9, 420, 256, 192, 200)
    discs = dict(n=n_discs, radii="uniform", packing_fraction=1.0)
    ellipses = dict(n=n_ellipses, aspect_ratio=1.4, packing_fraction=1.05)
    perceptron = dict(n=n_weights, load=5.0, margin=0.5, device=device)
    network = dict(
        depth=3, width=width, input_dimension=width, n_data=n_data, activation="tanh", device=device
    )
    many = (3, 6, 6, 6) if quick else (8, 24, 24, 48)
    recipes = {
        "network": Recipe(kind="FullyConnected", parameters=network),
        "perceptron": Recipe(kind="Perceptron", parameters=perceptron),
        "ellipses": Recipe(kind="Ellipses", parameters=ellipses),
        "spheres": Recipe(kind="SoftSpheres", parameters=discs),
    }
    return {name: (recipe, seeds or n) for (name, recipe), n in zip(recipes.items(), many, strict=True)}


def main() -> None:
    """Compute what is missing, print the table, write the figure and the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small systems, half a minute")
    parser.add_argument("--seeds", type=int, help="seeds of every system (default: what two minutes allow)")
    parser.add_argument("--device", default="cpu", help="where the networks live: cpu or cuda")
    parser.add_argument("--output", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    if arguments.seeds is not None and arguments.seeds < 1:
        parser.error(f"--seeds = {arguments.seeds} is not valid: it must be at least 1.")
    begin = time.perf_counter()
    try:
        recipes = configuration(arguments.quick, arguments.seeds, arguments.device)
        samples = ensemble(recipes, measure_jammed, arguments.output / "samples")
        comparison = Comparison({name: samples[name] for name in ORDER})
        comparison.print_table()
        chosen = {name: recipe.model_dump() | {"seeds": n} for name, (recipe, n) in recipes.items()}
        figure = comparison.write(arguments.output, chosen, time.perf_counter() - begin)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the samples that were done are kept; run again to go on")
    print(f"{figure} ({time.perf_counter() - begin:.0f} s)")


if __name__ == "__main__":
    main()
