"""What the user may change between two frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EstimatorSettings:
    """What the user may change between two frames.

    Attributes:
        min_depth: metres; nearer becomes -Inf. 0 = the card's; the tighter of the two holds.
        max_depth: metres; farther becomes +Inf. 0 = the card's; the tighter of the two holds.
        output_size: "image": depth at the image's size; "network": as the network gives it.
        edge_filter: relative depth jump, (far - near) / near, within 3x3 pixels of the network's
            output above which these pixels become NaN. 0 = off.
        temporal_filter: weight of the frames before in each pixel's depth, 0 to below 1; see
            `TemporalFilter`, which `finish` must be given. 0 = off.
        assumed_hfov_deg: horizontal field of view of a camera that is not calibrated; used only
            when the card has a canonical focal length.
        scale_correction: factor on all depth, and so on the card's limits: true distance divided by
            the depth shown. 1 = the model's own metres.
    """

    min_depth: float = 0.0
    max_depth: float = 0.0
    output_size: Literal["image", "network"] = "image"
    edge_filter: float = 0.0
    temporal_filter: float = 0.0
    assumed_hfov_deg: float = 60.0
    scale_correction: float = 1.0
