"""unijam: systems of constraints that jam, from soft spheres to deep networks, in one program."""
