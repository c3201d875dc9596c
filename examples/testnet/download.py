"""Put the testnet data set and the pretrained network in place, without a network connection.

The data set is drawn from its seed, which gives the same files everywhere; the network is part of the
package.
"""

from pathlib import Path

from interpret_segmentation.testnet import generate_dataset, pretrained, save_network

HERE = Path(__file__).parent


def main() -> None:
    dataset, network = HERE / "dataset", HERE / "testnet.pth"
    if dataset.exists():
        print(f"{dataset} is there already; left as it is")
    else:
        generate_dataset(dataset)
        print(f"data set in {dataset}")
    if network.exists():
        print(f"{network} is there already; left as it is")
    else:
        save_network(pretrained(), network)
        print(f"pretrained network in {network}")


if __name__ == "__main__":
    main()
