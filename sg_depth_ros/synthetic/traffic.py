# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What moves: the ego, vehicles in both directions, pedestrians and cyclists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.synthetic.ground import KERB
from sg_depth_ros.synthetic.mesh import Mesh, concatenate, yaw
from sg_depth_ros.synthetic.options import StreetOptions
from sg_depth_ros.synthetic.people import Person
from sg_depth_ros.synthetic.vehicles import Vehicle, footprint, make_car, make_vehicle
from sg_depth_ros.synthetic.world import World

_SIGHT = 200.0
_FORGET = 60.0


_EGO = Vehicle(concatenate([]), 4.5, 1.8, 1.5)


@dataclass
class _Agent:
    body: Vehicle | Person
    id: int
    s: float
    d: float
    direction: int
    speed: float
    cruise: float
    height: float = 0.0
    walked: float = 0.0
    follows: bool = False

    @property
    def length(self) -> float:
        return self.body.length if isinstance(self.body, Vehicle) else 0.6

    def mesh(self, world: World) -> Mesh:
        body = self.body.mesh if isinstance(self.body, Vehicle) else self.body.mesh(self.walked)
        line = world.line
        turn = line.heading(self.s) + (0.0 if self.direction > 0 else np.pi)
        c, s = np.cos(np.arctan(line.slope(self.s))), np.sin(np.arctan(line.slope(self.s)))
        uphill = self.direction * s
        pitch = np.array([[c, 0, -uphill], [0, 1, 0], [uphill, 0, c]])
        place = line.place(self.s, self.d, self.height)
        return body.placed(yaw(turn) @ pitch, place).as_object(self.id)


class Traffic:
    """All agents of a clip; the ego is the camera's vehicle and has no mesh."""

    def __init__(
        self, rng: np.random.Generator, world: World, options: StreetOptions, night: bool
    ) -> None:
        self._rng, self._world, self._options = rng, world, options
        self._lamps = 1.8 if night else 0.2
        style = world.style
        self.lane = int(rng.integers(style.lanes)) if style.lanes > 1 else 0
        self.d = style.lane_offset(self.lane, 1) + rng.uniform(-0.2, 0.2)
        self.s = 0.0
        self.speed = self._cruise = style.speed
        self._stop_until = -1.0
        self._braking = False
        self._decide_at = 10.0
        self.time = 0.0
        self._agents: list[_Agent] = []
        self._next_id = 1
        self.following = bool(rng.uniform() < options.follow_probability)
        # A town's walkers come from a small cast, so that their poses are made once.
        self._cast = [Person(rng, False) for _ in range(14)]
        self._populate()

    def _add(self, body: Vehicle | Person, s: float, d: float, direction: int, speed: float,
             height: float = 0.0, follows: bool = False) -> None:  # fmt: skip
        # Numbers come round again after a while; two of one number are never in sight together.
        self._next_id = self._next_id % 30000 + 1
        cruise = speed
        self._agents.append(
            _Agent(body, self._next_id, s, d, direction, speed, cruise, height, 0.0, follows)
        )

    def _vehicle(self) -> Vehicle:
        big = 0.25 if self._world.style.area == 'highway' else 0.12
        return make_vehicle(self._rng, big, self._lamps)

    def _populate(self) -> None:
        rng, style = self._rng, self._world.style
        lane = style.lane_offset(self.lane, 1)
        if self.following:
            body = self._vehicle() if rng.uniform() < 0.5 else make_car(rng, 'estate', self._lamps)
            gap = body.length / 2 + 1.5 + rng.uniform(5, 8 + 0.9 * self.speed)
            self._add(body, gap, lane, 1, self.speed, follows=True)
        elif self._options.queue_probability and rng.uniform() < self._options.queue_probability:
            self._queue()
        elif rng.uniform() < self._options.lead_probability:
            body = self._vehicle()
            gap = rng.uniform(12, 45)
            self._add(body, gap, lane, 1, self.speed * rng.uniform(0.75, 1.15))
        for start in np.arange(15, _SIGHT, 20.0):
            self._spawn(start, 20.0)

    def _queue(self) -> None:
        """Fill the lanes around the ego, bumper to bumper; all creep at a pace of their own."""
        rng, style = self._rng, self._world.style
        self.speed = self._cruise = rng.uniform(0.5, 4.0)
        lanes = [(lane, 1) for lane in range(style.lanes)]
        if rng.uniform() < 0.5:
            lanes += [(lane, -1) for lane in range(style.lanes)]
        for lane, direction in lanes:
            own = direction > 0 and lane == self.lane
            speed = rng.uniform(0.0, 4.0)
            s = _EGO.length / 2 if own else rng.uniform(-15.0, -5.0)
            while s < 70.0:
                body = make_vehicle(rng, 0.3, self._lamps)
                s += rng.uniform(1.5, 9.0) + body.length / 2
                d = style.lane_offset(lane, direction) + rng.uniform(-0.25, 0.25)
                self._add(body, s, d, direction, speed)
                s += body.length / 2

    def _spawn(self, s: float, stretch: float) -> None:
        """Put agents into a stretch that comes into sight."""
        rng, style, density = self._rng, self._world.style, self._options.traffic_density
        rate = {'urban': 0.016, 'residential': 0.007, 'country': 0.007, 'highway': 0.014}
        for direction in (1, -1):
            for lane in range(style.lanes):
                own = direction > 0 and lane == self.lane
                if rng.uniform() > rate[style.area] * density * stretch * (0.3 if own else 1):
                    continue
                at = s + rng.uniform(0, stretch)
                d = style.lane_offset(lane, direction)
                body = self._vehicle()
                if self._clear(at, d, body.length + 8):
                    speed = style.speed * rng.uniform(0.7, 1.2)
                    self._add(body, at, d, direction, speed)
        if style.area in ('urban', 'residential'):
            for side in (-1, 1):
                per_metre = 0.035 if style.area == 'urban' else 0.012
                for _ in range(rng.poisson(per_metre * density * stretch)):
                    kerb = style.half_width(side)
                    d = side * (kerb + rng.uniform(0.6, max(0.7, style.pavement - 0.4)))
                    speed = rng.uniform(0.8, 1.7) * (rng.uniform() < 0.85)
                    direction = int(rng.choice([-1, 1]))
                    person = self._cast[int(rng.integers(len(self._cast)))]
                    self._add(person, s + rng.uniform(0, stretch), d, direction, speed,
                              KERB)  # fmt: skip
        if style.area != 'highway' and rng.uniform() < 0.003 * density * stretch:
            direction = int(rng.choice([-1, 1]))
            curb = style.lane * style.lanes - 0.6
            self._add(Person(rng, True), s, -style.hand * direction * curb, direction,
                      rng.uniform(3, 7))  # fmt: skip

    def _clear(self, s: float, d: float, room: float) -> bool:
        others = [(a.s, a.d) for a in self._agents] + [(self.s, self.d)]
        return all(abs(s - o) > room or abs(d - e) > 1.8 for o, e in others)

    def step(self, dt: float) -> None:
        """Move everything on by dt seconds."""
        self.time += dt
        follower = next((a for a in self._agents if a.follows), None)
        moved = self._step_ego(dt)
        for agent in self._agents:
            if agent is follower:
                agent.speed = self.speed
                agent.s += moved
                continue
            if isinstance(agent.body, Vehicle):
                goal = self._allowed(agent)
                agent.speed += np.clip(goal - agent.speed, -6 * dt, 1.8 * dt)
                agent.speed = max(0.0, agent.speed)
            agent.s += agent.direction * agent.speed * dt
            agent.walked += agent.speed * dt
        before = int((self.s - moved) // 20)
        if int(self.s // 20) > before:
            self._spawn((int(self.s // 20)) * 20.0 + _SIGHT, 20.0)
        if self._rng.uniform() < 0.012 * dt * self._options.traffic_density * self.speed:
            self._overtake()
        self._agents = [
            a for a in self._agents if a.follows or -_FORGET < a.s - self.s < _SIGHT + 30
        ]

    def _overtake(self) -> None:
        """Let somebody come from behind in another lane."""
        style = self._world.style
        if style.lanes < 2:
            return
        lane = (self.lane + 1) % style.lanes
        d = style.lane_offset(lane, 1)
        if self._clear(self.s - 40, d, 12):
            self._add(self._vehicle(), self.s - 40, d, 1, style.speed * 1.25)

    def _step_ego(self, dt: float) -> float:
        if self.time >= self._decide_at:
            self._decide_at += 10.0
            style = self._world.style
            self._cruise = style.speed * self._rng.uniform(0.65, 1.15)
            if self._rng.uniform() < self._options.stop_probability:
                self._braking = True
        goal = self._cruise
        if self._braking:
            goal = 0.0
            if self.speed == 0:
                self._braking = False
                self._stop_until = self.time + self._rng.uniform(1.0, 4.0)
        if self.time < self._stop_until:
            goal = 0.0
        if not self.following:
            goal = min(goal, self._allowed(_Agent(_EGO, 0, self.s, self.d, 1, self.speed, goal)))
        change = np.clip(goal - self.speed, -3.0 * dt, 1.5 * dt)
        before, self.speed = self.speed, max(0.0, self.speed + change)
        moved = (before + self.speed) / 2 * dt
        self.s += moved
        return moved

    def _allowed(self, agent: _Agent) -> float:
        """Give the speed that keeps a safe gap to whoever is ahead in the same lane."""
        nearest = np.inf
        speed = agent.cruise
        for o in self._agents:
            ahead = (o.s - agent.s) * agent.direction - (o.length + agent.length) / 2
            if o.id != agent.id and abs(o.d - agent.d) < 1.5 and -1 < ahead < nearest:
                nearest, speed = ahead, o.speed * (o.direction == agent.direction)
        if agent.id and abs(self.d - agent.d) < 1.5:
            ahead = (self.s - agent.s) * agent.direction - (agent.length / 2 + 2.5)
            if -1 < ahead < nearest:
                nearest, speed = ahead, self.speed
        return float(
            min(agent.cruise, max(0.0, speed + 0.6 * (nearest - 3.0 - 0.9 * agent.speed)))
        )

    def mesh(self) -> tuple[Mesh, NDArray[np.float64]]:
        """Give what moves as one mesh, and vehicles' footprints (N, 4, 2)."""
        meshes = [(a, a.mesh(self._world)) for a in self._agents]
        prints = [footprint(m) for a, m in meshes if isinstance(a.body, Vehicle)]
        return concatenate(m for _, m in meshes), np.array(prints).reshape(-1, 4, 2)

    def moving_ids(self) -> NDArray[np.int32]:
        """Give the numbers of the agents that move at this moment."""
        return np.array([a.id for a in self._agents if a.speed > 0], np.int32)

    def following_ids(self) -> NDArray[np.int32]:
        """Give the numbers of the agents that keep exactly the ego's speed."""
        return np.array([a.id for a in self._agents if a.follows], np.int32)
