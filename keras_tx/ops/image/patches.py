"""Images as patches, and patches as images."""

from __future__ import annotations

from keras import ops

Size = int | tuple[int, int]
"""Height and width of an image, a patch or a grid, or one number for both."""


def pair(size: Size) -> tuple[int, int]:
    """Height and width."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def grid(image_size: Size, patch_size: Size) -> tuple[int, int]:
    """Returns how many whole patches an image is high and wide. Sizes may be tensors."""
    (height, width), (rows, columns) = pair(image_size), pair(patch_size)
    return height // rows, width // columns


def patchify(images, patch_size: Size):
    """Returns the pixels of each patch, side by side.

    Args:
        images: `(B, H, W, C)`.
        patch_size: p, q, which divide H and W.

    Returns:
        `(B, H/p * W/q, p * q * C)`: patches row by row, and in each its pixels row by row.
    """
    p, q = pair(patch_size)
    batch, height, width, channels = ops.shape(images)
    rows, columns = height // p, width // q
    # Rank 4 is enough, and is what every runtime can transpose. The batch is told so that no remainder goes unnoticed.
    x = ops.reshape(images, (batch * rows, p, columns, q * channels))
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, rows * columns, p * q * channels))


def unpatchify(patches, patch_size: Size, image_size: Size):
    """Returns the images of `image_size` whose patches these are, as `patchify` gives them: `(B, H, W, C)`."""
    (p, q), (height, width) = pair(patch_size), pair(image_size)
    batch, rows, columns = ops.shape(patches)[0], height // p, width // q
    channels = patches.shape[-1] // (p * q)
    x = ops.transpose(ops.reshape(patches, (batch * rows, columns, p, q * channels)), (0, 2, 1, 3))
    return ops.reshape(x, (batch, height, width, channels))


def pixel_shuffle(x, scale: int):
    """Returns channels as pixels (Shi et al. 2016): `(B, H, W, C * scale**2)` to `(B, H * scale, W * scale, C)`.

    The channels of x are those of the output, each with its `scale` rows of `scale` pixels.
    """
    batch, height, width, depth = ops.shape(x)
    channels = depth // scale**2
    x = ops.reshape(x, (batch, height, width, channels, scale, scale))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (batch, height * scale, width * scale, channels))
