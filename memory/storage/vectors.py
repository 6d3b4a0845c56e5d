"""Builds the rows of the vector tables: encodes the text of observations and their pictures.

    text_vector_rows(encoder, observations)
    frame_vector_rows(encoder, [(frame_id, jpeg, observation), …])

This module does not know when vectors are made or where they are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..encoder import Encoder, ImageEncoder
from .rows import frame_vector_row, text_vector_row
from .schema import Row


def text_vector_rows(encoder: Encoder | None, observations: Sequence[Row]) -> list[Row]:
    """The text vector rows of these observation rows. Empty without an encoder."""
    if encoder is None or not observations:
        return []
    vectors = encoder.encode_texts([row["text"] for row in observations])
    return [text_vector_row(row, vector) for row, vector in zip(observations, vectors, strict=True)]


def frame_vector_rows(encoder: Encoder | None, pictures: Sequence[tuple[str, bytes, Row]]) -> list[Row]:
    """The vector rows of pictures, each given as its id, its JPEG and the base row of its moment.

    Unreadable pictures get no row. Empty if the encoder takes no pictures.
    """
    if not isinstance(encoder, ImageEncoder) or not pictures:
        return []
    vectors = encoder.encode_images([jpeg for _, jpeg, _ in pictures])
    return [
        frame_vector_row(frame_id, observation, vector)
        for (frame_id, _, observation), vector in zip(pictures, vectors, strict=True)
        if vector.any()
    ]


def moments_of_frames(observations: Sequence[Row]) -> dict[str, Row]:
    """The base row of each picture's moment, by picture id.

    The rungs above show pictures of moments and have none of their own.
    """
    return {
        frame_id: row
        for row in observations
        if row["base"] and row["rung"] == "moment"
        for frame_id in row["frame_ids"]
    }
