"""What tests, benchmarks and plugin authors use: a running service, and an engine without torch.

Knows: how to start the real service, and a stand-in for ComfyUI that keeps the same contract.
Does not know: what is tested. Nothing of Kino imports this, but for a worker told to by a setting.
"""
