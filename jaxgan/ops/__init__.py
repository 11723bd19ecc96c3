"""Operations that need a lowering of our own on some platform."""

from jaxgan.ops.conv import conv, conv_general_dilated, conv_transpose

__all__ = ["conv", "conv_general_dilated", "conv_transpose"]
