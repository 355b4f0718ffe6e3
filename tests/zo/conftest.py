import torch

torch.set_num_threads(1)  # the tensors are small, and a shared machine punishes two threads
