"""The parts of the panel X-ray Pose."""
