"""Image-driven alignment: a velocity field under which two images look alike, with an affine before it.

Gauss-Newton steps on the residuals of self-similarity (coarse) and of locally normalized values (fine), whose unknown
variance is estimated along with them, so that one weight of the smoothness serves every modality. The velocity is a
cubic B-spline; its flow is the deformation.
"""
