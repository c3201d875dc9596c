"""Put the testnet data set, the pretrained network, and what the benchmark needs beside it in place.

The data set is drawn from its seed, which gives the same files everywhere; the network is part of the
package. Further networks and the truths about them are copied from the checkout that this script lies in, or
fetched from the release.
"""

from pathlib import Path

from interpret_segmentation.testnet import download_data, generate_dataset, pretrained, save_network

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
    try:
        print(f"further networks and truths in {download_data()}")
    except (ConnectionError, ValueError) as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
