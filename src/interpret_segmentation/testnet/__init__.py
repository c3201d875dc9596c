"""Testnet: a toy data set whose true explanation is known, and networks that have learnt it."""

from interpret_segmentation.testnet.dataset import Sample, TestnetDataset, generate_dataset, sample_of
from interpret_segmentation.testnet.more import NETWORKS, TestnetNetwork, download_data, networks_of
from interpret_segmentation.testnet.networks import (
    RuleFigures,
    follow_the_rule,
    load_network,
    pretrained,
    save_network,
)
from interpret_segmentation.testnet.photograph import coffee
from interpret_segmentation.testnet.scenes import SIZE, VARIANTS, Scene, Shape, Variant, draw_scene
from interpret_segmentation.testnet.training import train
from interpret_segmentation.testnet.unet import UNet

__all__ = [
    "NETWORKS",
    "SIZE",
    "VARIANTS",
    "RuleFigures",
    "Sample",
    "Scene",
    "Shape",
    "TestnetDataset",
    "TestnetNetwork",
    "UNet",
    "Variant",
    "coffee",
    "download_data",
    "draw_scene",
    "follow_the_rule",
    "generate_dataset",
    "load_network",
    "networks_of",
    "pretrained",
    "sample_of",
    "save_network",
    "train",
]
