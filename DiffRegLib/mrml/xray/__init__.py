"""X-rays in the scene: where their detectors are, what is seen over them, and the beam in 3D."""
