"""The two ways in which a registration ends without a result."""


class RegistrationError(ValueError):
    """Input that cannot be registered: one sentence that names what is wrong and says what to do."""


class Cancelled(Exception):
    """Raised by a progress callback to end the work; nothing is kept."""
