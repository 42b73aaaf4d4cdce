// What OpenZeppelin's JavaScript makes of the standings on standard input: the tests' second opinion on trees and proofs.
const { readFileSync } = require("node:fs");
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const ENCODING = ["uint256", "uint64", "uint32"];
const { standings, choices, dump } = JSON.parse(readFileSync(0, "utf8"));
const tree = dump ? StandardMerkleTree.load(dump) : StandardMerkleTree.of(standings, ENCODING, { sortLeaves: false });
process.stdout.write(
  JSON.stringify({
    tree: tree.dump().tree,
    treeIndexes: tree.dump().values.map((value) => value.treeIndex),
    proofs: (choices ?? []).flat().map((leaf) => tree.getProof(leaf)),
    multiproofs: (choices ?? []).map((leaves) => {
      const { leaves: values, proof, proofFlags } = tree.getMultiProof(leaves);
      return { leaves: values, proof, proofFlags };
    }),
  }),
);
