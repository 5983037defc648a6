"""Methods that use curvature: trust-region Newton, Levenberg-Marquardt, proximal Newton on kinks."""
