"""Radiographs of a CT: reading X-rays, attenuation, projecting through a camera, the live picture, hand and C-arm."""
