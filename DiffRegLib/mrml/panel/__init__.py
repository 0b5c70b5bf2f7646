"""What the panels share: options as parameters and widgets, the worker's process, the loss as a plot, packages."""
