"""Tests work on small tensors, where a pool of threads costs more than it saves (much more on a busy machine)."""

import torch

torch.set_num_threads(1)
