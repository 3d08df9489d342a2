# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads one Image of a ROS topic with another vendor's DDS and prints it as JSON."""

import json
import sys
from dataclasses import dataclass

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import int32, sequence, uint8, uint32
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration


@dataclass
class Time(IdlStruct, typename='builtin_interfaces::msg::dds_::Time_'):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename='std_msgs::msg::dds_::Header_'):
    stamp: Time
    frame_id: str


@dataclass
class Image(IdlStruct, typename='sensor_msgs::msg::dds_::Image_'):
    header: Header
    height: uint32
    width: uint32
    encoding: str
    is_bigendian: uint8
    step: uint32
    data: sequence[uint8]


domain, name, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
participant = DomainParticipant(domain)
qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(1))
reader = DataReader(participant, Topic(participant, f'rt{name}', Image, qos=qos), qos=qos)
for sample in reader.take_iter(timeout=duration(seconds=seconds)):
    header = sample.header
    print(
        json.dumps(
            {
                'stamp': [header.stamp.sec, header.stamp.nanosec],
                'frame_id': header.frame_id,
                'size': [sample.width, sample.height],
                'encoding': sample.encoding,
                'step': sample.step,
                'data': bytes(sample.data).hex(),
            }
        )
    )
    break
