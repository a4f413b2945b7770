import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
import reconscale as rs

class Noisy(Dataset):  # yours: a pair (input, truth) for each index
    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        x = nn.functional.interpolate(torch.rand(1, 1, 5, 5, generator=g), size=16)[0]
        return x + 0.1 * torch.randn(x.shape, generator=g), x

def train(job):
    torch.manual_seed(job.seed)
    net = nn.Sequential(nn.Conv2d(1, job.width, 3, padding=1), nn.ReLU(), nn.Conv2d(job.width, 1, 3, padding=1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(100):  # the same number of steps for every n
        y, x = next(iter(DataLoader(Subset(Noisy(), job.train), 8, shuffle=True)))
        loss = nn.functional.mse_loss(net(y), x)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    with torch.no_grad():
        psnr = lambda items: [-10 * float((net(y) - x).square().mean().log10()) for y, x in Subset(Noisy(), items)]
        return {"psnr": psnr(job.test), "validation": sum(psnr(job.val)) / len(job.val), "p": 19 * job.width + 1}

points = rs.measure(train, 120, n=[2, 8, 32, 64], seed=2, width=[8], val=10, test=30, folder="my-study")
print(rs.infer(points).decide(worthwhile=0.1))
