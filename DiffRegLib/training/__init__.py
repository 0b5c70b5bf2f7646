"""What the trainings of all methods share: tensors in files, checkpoints, whole or not at all."""
