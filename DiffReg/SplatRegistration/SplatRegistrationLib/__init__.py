"""What the module Splat Registration is made of, beside its four classes."""
