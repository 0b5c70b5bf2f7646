"""The work of the toy: a shift between two means."""

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.registration import Provenance, Registration, TraceRow
from DiffRegLib.transforms import Affine


def run(inputs, options, folder, progress):
    """See `DiffRegLib.methods.method.Method`."""
    threshold = options["center"].threshold
    centers = []
    for side in ("fixed", "moving"):
        image = inputs[side].content
        inside = image.grid()[image.data[0] > threshold].double()
        if not len(inside):
            raise RegistrationError("Nothing is above {threshold}: lower it.", option="threshold")
        centers.append(inside.mean(0))
        progress(0.5, "Averaging.", stage="center", level=0, iteration=len(centers), loss=float(len(inside)))
    transform = Affine.translation(centers[1] - centers[0])
    (folder / "centers.csv").write_text("x,y,z")
    provenance = Provenance("centers", "1", {}, 0, "cpu", 0.0, 0.0, {})
    trace = (TraceRow(0, 0, 1.0, 0.0, 1.0, "center"),)
    return Registration(transform, transform.inverse(), trace, provenance, metrics={"points": len(inside)})


def train(inputs, options, folder, resume, progress):
    progress(0.5, "Learning.", stage="center", level=0, iteration=1, loss=2.0)
    (folder / "checkpoint.safetensors").write_text(inputs["image"])
    return f"Learned {options['center']}."
