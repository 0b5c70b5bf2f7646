"""The parts of the panel Registration Review."""
