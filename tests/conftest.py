"""Without a GPU every kernel test runs in Triton's interpreter."""

import os

import torch
from hypothesis import settings

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other

settings.register_profile("suite", deadline=None)  # a busy machine is no error
settings.load_profile("suite")
