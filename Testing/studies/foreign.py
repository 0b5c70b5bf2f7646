"""A registration of another program to be reviewed: elastix on the lung, its transform as ITK writes it, and its field.

    python Testing/studies/foreign.py DATA OUT            # any Python with itk-elastix; nothing of DiffReg is needed
    diffreg review --transform OUT/TransformParameters.1-Composite.h5 --fixed DATA/fixed_ct.nii.gz ...

DATA: the folder lung_ct_known_warp. An affine, then B-splines of 12 mm in four resolutions, on one thread.
"""

import sys
import time
from pathlib import Path

import itk


def main() -> int:
    data, out = map(Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    fixed, moving = (itk.imread(str(data / f"{side}_ct.nii.gz"), itk.F) for side in ("fixed", "moving"))
    begin = time.perf_counter()
    _, found = itk.elastix_registration_method(
        fixed,
        moving,
        parameter_object=stages(),
        number_of_threads=1,
        output_directory=str(out),
    )
    print(f"elastix: {time.perf_counter() - begin:.0f} s")
    itk.imwrite(itk.transformix_deformation_field(fixed, found), str(out / "field.nrrd"))
    return 0


def stages():
    """elastix's own defaults, with more iterations, and the transform written as one file of ITK."""
    made = itk.ParameterObject.New()
    for kind in ("affine", "bspline"):
        stage = made.GetDefaultParameterMap(kind, 4)
        stage["ITKTransformOutputFileNameExtension"] = ["h5"]
        stage["WriteITKCompositeTransform"] = ["true"]
        if kind == "bspline":
            stage["MaximumNumberOfIterations"], stage["FinalGridSpacingInPhysicalUnits"] = ["500"], ["12"]
        made.AddParameterMap(stage)
    return made


if __name__ == "__main__":
    sys.exit(main())
