"""Granular and deep-learning jamming side by side: discs, ellipses, a deep network and a perceptron, jammed alike.

    python studies/spheres_vs_nets.py [--quick] [--seeds N] [--device cpu] [--output results]

Rows of the figure: the count on the way to jamming, the spectrum there, Hp on the kernel of H0, and P±(Δ).
"""

import argparse
import sys
import time
from pathlib import Path

from pydantic import BaseModel, Field

from unijam.ensemble import Recipe, jammed_ensemble
from unijam.report import Comparison


class Configuration(BaseModel):
    """What is computed: a recipe and a number of seeds a system (the slowest system first)."""

    network: tuple[Recipe, int]
    ellipses: tuple[Recipe, int]
    spheres: tuple[Recipe, int]
    perceptron: tuple[Recipe, int]
    seeds: int | None = Field(default=None, ge=1, le=10_000)

    @classmethod
    def default(cls, quick: bool, seeds: int | None, device: str) -> "Configuration":
        """The published figure, or one of small systems."""
        width, n_data, n, n_ellipses, n_perceptron = (
            (6, 170, 64, 32, 60) if quick else (9, 420, 256, 192, 150)
        )
        many = (3, 6, 6, 6) if quick else (8, 24, 48, 48)
        network, ellipses, spheres, perceptron = (seeds,) * 4 if seeds else many
        net = dict(
            depth=3, width=width, input_dimension=width, n_data=n_data, activation="tanh", device=device
        )
        return cls(
            network=(Recipe(kind="FullyConnected", parameters=net), network),
            ellipses=(
                Recipe(
                    kind="Ellipses", parameters=dict(n=n_ellipses, aspect_ratio=1.4, packing_fraction=1.05)
                ),
                ellipses,
            ),
            spheres=(
                Recipe(kind="SoftSpheres", parameters=dict(n=n, radii="uniform", packing_fraction=1.0)),
                spheres,
            ),
            perceptron=(
                Recipe(
                    kind="Perceptron", parameters=dict(n=n_perceptron, load=5.0, margin=0.5, device=device)
                ),
                perceptron,
            ),
            seeds=seeds,
        )


def main() -> None:
    """Compute what is missing, print the table, write the figure and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small systems, half a minute")
    parser.add_argument(
        "--seeds", type=int, help="seeds of every system (default: as many as two minutes allow)"
    )
    parser.add_argument("--device", default="cpu", help="where the networks live: cpu or cuda")
    parser.add_argument("--output", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    begin = time.perf_counter()
    try:
        configuration = Configuration.default(arguments.quick, arguments.seeds, arguments.device)
        recipes = {
            name: getattr(configuration, name) for name in ("network", "ellipses", "spheres", "perceptron")
        }
        samples = jammed_ensemble(recipes, arguments.output / "samples")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the samples that were done are kept; run again to go on")
    order = ("spheres", "ellipses", "network", "perceptron")
    comparison = Comparison({name: samples[name] for name in order})
    comparison.print_table()
    comparison.write(arguments.output, configuration.model_dump(mode="json"), time.perf_counter() - begin)


if __name__ == "__main__":
    main()
