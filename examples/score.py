import strandnet

model = strandnet.load("examples/run")
names, sequences = zip(*(record.split("\n", 1) for record in open("examples/sequences.fa").read()[1:].split("\n>")))
for name, score in zip(names, model.predict([sequence.replace("\n", "") for sequence in sequences])):
    print(f"{name}\t{score:.4f}")
