"""Every public name and where it is at home; `__init__.py` takes its table from here."""

from interpret_segmentation import benchmark as benchmark
from interpret_segmentation import evaluate as evaluate
from interpret_segmentation import hdm as hdm
from interpret_segmentation import perturb as perturb
from interpret_segmentation import rise as rise
from interpret_segmentation import show as show
from interpret_segmentation import targets as targets
from interpret_segmentation import testnet as testnet
from interpret_segmentation.data.preprocess import Preprocess as Preprocess
from interpret_segmentation.explaining import explain as explain
from interpret_segmentation.explaining import explain_channels as explain_channels
from interpret_segmentation.inference.case import Case as Case
from interpret_segmentation.methods import HDM as HDM
from interpret_segmentation.methods import RISE as RISE
from interpret_segmentation.methods import HausdorffDistanceMasks as HausdorffDistanceMasks
from interpret_segmentation.methods import HDMResult as HDMResult
from interpret_segmentation.methods import Method as Method
from interpret_segmentation.methods import Occlusion as Occlusion
from interpret_segmentation.methods import RISEResult as RISEResult
from interpret_segmentation.methods import SegmentationRISE as SegmentationRISE
from interpret_segmentation.models import ModelOptions as ModelOptions
from interpret_segmentation.models import SegmentationModel as SegmentationModel
from interpret_segmentation.results import ChannelExplanations as ChannelExplanations
from interpret_segmentation.results import Explanation as Explanation
from interpret_segmentation.results import Layer as Layer
from interpret_segmentation.results import Recipe as Recipe
from interpret_segmentation.targets import Border as Border
from interpret_segmentation.targets import Class as Class
from interpret_segmentation.targets import Component as Component
from interpret_segmentation.targets import FalseNegatives as FalseNegatives
from interpret_segmentation.targets import FalsePositives as FalsePositives
from interpret_segmentation.targets import Pixel as Pixel
from interpret_segmentation.targets import Region as Region
from interpret_segmentation.targets import as_target as as_target

__version__: str
