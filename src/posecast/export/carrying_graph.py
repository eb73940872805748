"""Carrying as traceable functions: seen pictures and poses in, the layers of future frames out.

The same mathematics as `posecast.carrying`, whose constants it takes, in tensors, so that an
exporter can follow it, for a camera that stands still. Poses are shares of the square crop; `p`
seen frames, `n` parts of the body, `c` = `COARSE`, `s` a multiple of it.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from posecast.carrying import bending
from posecast.carrying import layers as carrying
from posecast.carrying.body_parts import FAR, PARTS
from posecast.carrying.layers import COARSE
from posecast.export import body_graph as body
from posecast.export.frame_graphs import averaged, to_side
from posecast.export.plate_graph import plate_of
from posecast.export.sources_graph import (
    at_feet,
    jitter_of,
    members_of,
    person_mask,
    reaching,
    sources_of,
    still_hidden,
    taken_in,
    widened,
)
from posecast.export.uncovering_graph import crossed, has_left, without_forearms
from posecast.skeletons import Skeleton


class _OfSkeleton(nn.Module):
    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self._skeleton = skeleton


class LookGraph(_OfSkeleton):
    """What is worked out once a clip, as `CarriedPerson` does when it is made."""

    def forward(
        self,
        seen_pictures: UInt8[Tensor, "p s s 3"],
        seen_joints_crop: Float[Tensor, "p j 2"],
        seen_visible: Bool[Tensor, "p j"],
        future_joints_crop: Float[Tensor, "t j 2"],
        mask_logits: Float[Tensor, "p 1 c c"],
        picture_box: Float[Tensor, "4"],
    ) -> tuple[Tensor, ...]:
        """Smoothed poses, each part's source, whose pixels are whose, and the room."""
        past = seen_joints_crop.where(seen_visible[..., None], 0.0)
        size = body.size_px(past, seen_visible, self._skeleton)
        count, ever = seen_visible.shape[0], seen_visible.any(0)
        visible = torch.cat([seen_visible, ever.expand(future_joints_crop.shape[0], -1)])
        joints = body.smoothed(torch.cat([past, future_joints_crop]), visible)
        joints = torch.cat([body.smoothed(past, seen_visible), joints[count:]])
        bodies = body.bodies_of(joints, visible, size, self._skeleton)
        frames = torch.arange(joints.shape[0])
        seen, wanted = bodies.take(frames[:count]), bodies.take(frames[count:])
        masks = mask_logits[:, 0].sigmoid()
        distances = body.distances_of(seen, size)
        crossing, inside = crossed(distances), _inside(picture_box)
        distances = widened(distances, masks)
        mask = person_mask(distances.amin(1), masks)
        shown = torch.where(inside, mask, 0.0)
        hidden = torch.where(inside, mask, 1.0)
        plate, no_plate, missed, light = plate_of(seen_pictures, hidden, at_feet(distances[-1]))
        missed = functional.adaptive_avg_pool2d(missed.float()[None], COARSE)[0]
        last = taken_in(missed, shown[-1], distances[-1])
        shown, distances = (
            torch.cat([each[:-1], new[None]])
            for each, new in zip((shown, distances), last, strict=True)
        )
        members = members_of(shown, distances, seen)
        gates = carrying.GATE_PX + jitter_of(_shrunk(seen_pictures), members, seen)
        shown_now = wanted.known & ~still_hidden(wanted, seen, size)
        sources = sources_of(replace(wanted, known=shown_now), seen, light, size, crossing)
        arms = (crossing, without_forearms(seen_pictures, shown, distances))
        facts = (sources, members, gates, plate, no_plate, distances[-1])
        return joints[:count], joints[count:], *facts, *arms


class LayersGraph(_OfSkeleton):
    """The layers of some future frames, as `CarriedPerson` makes them."""

    def forward(
        self,
        seen_pictures: UInt8[Tensor, "p s s 3"],
        seen_joints_crop: Float[Tensor, "p j 2"],
        seen_visible: Bool[Tensor, "p j"],
        future_joints_crop: Float[Tensor, "t j 2"],
        smooth_past: Float[Tensor, "p j 2"],
        smooth_future: Float[Tensor, "t j 2"],
        sources: Int[Tensor, "t n"],
        members: Float[Tensor, "p n c c"],
        gates: Float[Tensor, " n"],
        plate: UInt8[Tensor, "s s 3"],
        no_plate: Bool[Tensor, "s s"],
        last_distances: Float[Tensor, "n c c"],
        crossing: Bool[Tensor, "p n a"],
        bare_pictures: UInt8[Tensor, "p s s 3"],
        numbers: Int[Tensor, " b"],
    ) -> tuple[Tensor, ...]:
        """Layers of the future frames with these numbers, and their poses."""
        past = seen_joints_crop.where(seen_visible[..., None], 0.0)
        size = body.size_px(past, seen_visible, self._skeleton)
        visible = seen_visible.any(0).expand(numbers.shape[0], -1)
        seen = body.bodies_of(smooth_past, seen_visible, size, self._skeleton)
        last = seen.take(torch.full_like(numbers[:1], -1))
        pose = body.bodies_of(smooth_future[numbers], visible, size, self._skeleton)
        taken = sources[numbers]
        pose = replace(pose, known=taken >= 0)
        distances = body.distances_of(pose, size)
        transforms = body.transforms_of(pose, body.each_parts(seen, taken), size)
        covers, claims = _covers(transforms, taken, members, distances)
        near = torch.minimum(reaching(distances, covers), last_distances)
        joints = future_joints_crop[numbers]
        as_given = [(past[-1:], seen_visible[-1:]), (joints, visible)]
        first, then = (body.bodies_of(*each, size, self._skeleton) for each in as_given)
        then = replace(then, known=pose.known)
        moved = torch.minimum(body.movement(pose, last), body.movement(then, first))
        gone, rests, carried = _how_changed(near, moved, gates)
        owners, front, behind = _shown(covers, claims)
        shares = [front * carried, behind * carried, 1 - carried, (1 - front - behind) * carried]
        flow = _flow(pose, last, near, moved, rests, size)
        left = has_left(pose, seen, taken, transforms, crossing)
        every, taken = torch.cat([bare_pictures, seen_pictures, plate[None]]), taken.clamp(min=0)
        plan = (transforms, torch.where(left, taken, taken + seen_pictures.shape[0]), flow)
        small = _pictures(_shrunk(every), owners, *plan)
        fine = _fine_pictures(every, claims, *plan)
        holes = functional.adaptive_avg_pool2d(no_plate.float()[None, None], COARSE)
        holes = holes.expand(numbers.shape[0], -1, -1, -1)
        facts = (torch.stack(shares, 1), near.amin(1, keepdim=True), holes)
        body_size = (size / COARSE).expand(numbers.shape[0], 1, 1)
        moving = gone.clamp(max=FAR)[:, None]
        return small / 127.5 - 1, *facts, joints, visible.clone(), body_size, moving, fine


def _how_changed(
    near: Float[Tensor, "b n c c"], moved: Float[Tensor, "b n"], gates: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "b c c"], Float[Tensor, "b c c"], Float[Tensor, "b c c"]]:
    """Of each pixel: how far what moves is, how much it stays as it was, how much is carried."""
    gone = torch.where((moved > gates)[..., None, None], near, body.HUGE).amin(1)
    rests = ((gone - 1.4) / 0.5).clamp(0, 1)
    far = (moved - bending.BENT_PX) / (bending.CARRIED_PX - bending.BENT_PX)
    carried = (((2.2 - near) / 0.6).clamp(0, 1) * far.clamp(0, 1)[..., None, None]).amax(1)
    return gone, rests, body.blurred(carried, 1.5) * (1 - rests)


def _inside(box: Float[Tensor, "4"]) -> Bool[Tensor, "c c"]:
    """Pixels of the crop that are in the picture, whose left, top, right and bottom are given."""
    at = (torch.arange(COARSE) + 0.5) / COARSE
    across, down = ((at > box[n]) & (at < box[n + 2]) for n in (0, 1))
    return down[:, None] & across


def _shrunk(pictures: UInt8[Tensor, "p s s 3"]) -> Float[Tensor, "p 3 c c"]:
    planes = pictures.movedim(-1, 1).float()
    return averaged(planes, planes.shape[-1] // COARSE).round()


def _owners(claims: Float[Tensor, "b n h w"]) -> tuple[Tensor, Tensor]:
    """As `fetching.owners_of`: the two best claims, and whose they are."""
    best, first = claims.max(1, keepdim=True)
    rest = torch.where(torch.arange(claims.shape[1])[:, None, None] == first, -1.0, claims)
    next_best, second = rest.max(1, keepdim=True)
    second = torch.where(next_best > 0, second, first)
    return torch.cat([best, next_best.clamp(min=0)], 1), torch.cat([first, second], 1)


def _covers(
    transforms: Float[Tensor, "b n 2 3"],
    sources: Int[Tensor, "b n"],
    members: Float[Tensor, "p n c c"],
    distances: Float[Tensor, "b n c c"],
) -> tuple[Float[Tensor, "b n c c"], Float[Tensor, "b n c c"]]:
    """How much of each pixel each part covers, and its claim to it."""
    parts = torch.arange(len(PARTS))
    at = torch.einsum("bnij,yxj->bnyxi", transforms[..., :2], body.places_of(COARSE))
    at = at + transforms[..., 2][:, :, None, None]
    covers = functional.grid_sample(
        members[sources.clamp(min=0), parts].flatten(0, 1)[:, None],
        at.flatten(0, 1) * (2 / COARSE) - 1,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    ).unflatten(0, sources.shape)[:, :, 0]
    within = ((at > 0) & (at < COARSE)).all(-1) & (sources >= 0)[..., None, None]
    covers = covers * within
    front = 1 + carrying.FRONT * parts[:, None, None]
    return covers, covers * torch.exp(-distances) * front


def _shown(
    covers: Float[Tensor, "b n c c"], claims: Float[Tensor, "b n c c"]
) -> tuple[Tensor, ...]:
    """The two owners of each pixel, and how much of each shows."""
    best, owners = _owners(claims)
    cover = body.blurred(covers.gather(1, owners[:, :1])[:, 0], 0.6)
    cover = ((cover - 0.1) / 0.8).clamp(0, 1)
    second = 0.5 - (best[:, 0] - best[:, 1]) / (carrying.SEAM * best.sum(1) + 1e-9)
    second = second.clamp(0.0, 0.5)
    return owners, cover * (1 - second), cover * second


def _flow(
    pose: body.Bodies,
    last: body.Bodies,
    near: Float[Tensor, "b n c c"],
    moved: Float[Tensor, "b n"],
    rests: Float[Tensor, "b c c"],
    size: Float[Tensor, ""],
) -> Float[Tensor, "b 2 c c"]:
    """Where the places of the bent last frame come from."""
    source = (last.ends.expand_as(pose.ends), last.corners.expand_as(pose.corners), last.known)
    transforms = body.transforms_of(pose, body.Bodies(*source), size)
    places = body.places_of(COARSE)
    flow = torch.einsum("bnij,yxj->bniyx", transforms[..., :2], places)
    flow = flow + transforms[..., 2][..., None, None] - places.movedim(-1, 0)
    counts = pose.known & last.known & (moved < 3 * bending.CARRIED_PX)
    weight = torch.exp(-near.square()) * counts[..., None, None]
    total = weight.sum(1) + math.exp(-(bending.BACKGROUND_RADII**2))
    flow = (flow * weight[:, :, None]).sum(1) / total[:, None] * (1 - rests[:, None])
    length = flow.norm(dim=1, keepdim=True)
    return flow * (length / bending.STILL_PX - 1).clamp(0, 1)


def _pictures(
    frames: Float[Tensor, "f 3 s s"],
    owners: Int[Tensor, "b 2 s s"],
    transforms: Float[Tensor, "b n 2 3"],
    sources: Int[Tensor, "b n"],
    flow: Float[Tensor, "b 2 c c"],
) -> Float[Tensor, "b 12 s s"]:
    """The four pictures of the layers, fetched from frames of any size: the seen ones without
    forearms, as they are, and the plate."""
    side = frames.shape[-1]
    tall = frames.movedim(1, 0).flatten(1, 2)[None]
    carried = [_fetched(tall, each, transforms, sources, side) for each in owners.unbind(1)]
    at = body.places_of(side) + to_side(flow, side).movedim(1, -1) * (side / COARSE)
    bent = _sampled(frames[-2:-1].expand(flow.shape[0], -1, -1, -1), at * (2 / side) - 1)
    pictures = torch.cat([*carried, bent, frames[-1:].expand(flow.shape[0], -1, -1, -1)], 1)
    return pictures.clamp(0, 255)


def _fine_pictures(
    frames: UInt8[Tensor, "f s s 3"], claims: Float[Tensor, "b n c c"], *plan: Tensor
) -> UInt8[Tensor, "b s s 12"]:
    """The same from the frames' own pixels."""
    owners = _owners(to_side(claims, frames.shape[1]))[1]
    pictures = _pictures(frames.movedim(-1, 1).float(), owners, *plan)
    return pictures.round().movedim(1, -1).to(torch.uint8)


def _fetched(
    tall: Float[Tensor, "1 3 ps s"],
    owner: Int[Tensor, "b s s"],
    transforms: Float[Tensor, "b n 2 3"],
    sources: Int[Tensor, "b n"],
    side: int,
) -> Float[Tensor, "b 3 s s"]:
    """Each pixel from its owner's source; all seen frames are one tall picture."""
    whose = owner.flatten(1)
    chosen = transforms.flatten(2).gather(1, whose[..., None].expand(-1, -1, 6))
    chosen = chosen.unflatten(1, (side, side)).unflatten(-1, (2, 3))
    places = body.places_of(side) * (COARSE / side)
    at = (chosen[..., :2] @ places[..., None])[..., 0] + chosen[..., 2]
    x, y = (at * (side / COARSE)).unbind(-1)
    rows = sources.gather(1, whose).unflatten(1, (side, side)) * side
    y = y.clamp(0.5, side - 0.5) + rows
    grid = torch.stack([x * (2 / side), y * (2 / tall.shape[2])], -1) - 1
    found = _sampled(tall, grid.flatten(0, 1)[None])[0]
    return found.unflatten(1, (owner.shape[0], side)).movedim(0, 1)


def _sampled(
    pictures: Float[Tensor, "b 3 h w"], grid: Float[Tensor, "b y x 2"]
) -> Float[Tensor, "b 3 y x"]:
    return functional.grid_sample(
        pictures, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
