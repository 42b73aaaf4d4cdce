// Trees, proofs and multiproofs by OpenZeppelin's own library: a line of JSON for each line of JSON.
// In: {"leaves": [[passId, score, rank], ...], "sets": [[leaf number, ...], ...]}, numbers as text.
// Out: {"root", "proofs": [[hash, ...], ...] of all leaves, "multiproofs": [{"leaves", "proof", "flags"}, ...] of the sets}.

const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

for (const line of require("fs").readFileSync(0, "utf8").trim().split("\n")) {
  const { leaves, sets } = JSON.parse(line);
  const tree = StandardMerkleTree.of(leaves, ["uint256", "uint64", "uint32"], { sortLeaves: false });
  console.log(
    JSON.stringify({
      root: tree.root,
      proofs: leaves.map((_, number) => tree.getProof(number)),
      multiproofs: sets.map((set) => {
        const { leaves, proof, proofFlags } = tree.getMultiProof(set);
        return { leaves, proof, flags: proofFlags };
      }),
    }),
  );
}
