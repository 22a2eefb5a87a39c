//! Training examples that stay on a GPU: an epoch takes nothing there but the order it goes through them in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use crate::model::strands::mirrored;
use crate::train::loader::DeviceBatch;
use crate::{cuda, device};
use strandnet_core::dataset::batches::Order;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::progress::Progress;
use strandnet_core::sequence::alphabet::UNKNOWN;

/// They take at most one part in so many of the GPU's free memory; the network takes the rest. Beyond this a batch's way to the
/// device is short beside its way through a network.
const SHARE: u64 = 4;
/// Bytes on their way at a time.
const PART: usize = 64 << 20;

/// All training examples on a device, and the order of the epoch.
#[derive(Debug)]
pub struct DeviceExamples(Rc<Tensors>);

#[derive(Debug)]
struct Tensors {
    /// u8 `[n, length]`
    codes: Tensor,
    /// f32 `[n, width]`, `[n, width * bins]`, or profiles
    labels: Tensor,
    /// Lengths of the stretches of a row of labels that run the other way on the other strand.
    mirrored: Vec<usize>,
    /// i64 `[n]`, and bool `[n, 1]`: which example comes at each place of the epoch, and whether as its reverse complement. They stay
    /// where they are from epoch to epoch, because recorded steps read them.
    order: Tensor,
    reversed: Tensor,
}

/// A batch of examples that are on a device, not gathered yet.
#[derive(Clone, Debug)]
pub struct IndexedBatch {
    of: Rc<Tensors>,
    /// Whether an example may come as its reverse complement.
    either_strand: bool,
    /// Its first place in the epoch's order.
    pub first: usize,
    /// Examples.
    pub n: usize,
}

impl IndexedBatch {
    /// Gathers it.
    pub fn gather(&self) -> DeviceBatch {
        let places = |tensor: &Tensor| tensor.narrow(0, self.first as i64, self.n as i64);
        self.of.gathered(&places(&self.of.order), &places(&self.of.reversed), self.either_strand)
    }

    /// The batch of the same size at other places of the epoch's order, i64 `[n]`.
    pub fn gathered(&self, places: &Tensor) -> DeviceBatch {
        let [order, reversed] = [&self.of.order, &self.of.reversed].map(|tensor| tensor.index_select(0, places));
        self.of.gathered(&order, &reversed, self.either_strand)
    }

    /// Whether both are batches of the same examples, which then change in the same ways.
    pub fn is_of_the_examples_of(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.of, &other.of) && (self.either_strand, self.n) == (other.either_strand, other.n)
    }
}

impl Tensors {
    /// Copies codes and labels to the device, part by part.
    fn fill(&self, examples: &Examples) -> Result<()> {
        let (device, length) = (self.codes.device(), examples.length as i64);
        examples.for_each_batch(PART / examples.length.max(1), |first, part| {
            let part = device::to_device(part, device).view([-1, length]);
            self.codes.narrow(0, first as i64, part.size()[0]).copy_(&part);
            Ok(())
        })?;
        let labels = self.labels.view(-1);
        for (i, part) in examples.targets().chunks(PART / size_of::<f32>()).enumerate() {
            let first = i * PART / size_of::<f32>();
            labels.narrow(0, first as i64, part.len() as i64).copy_(&device::to_device(part, device));
        }
        Ok(())
    }

    fn gathered(&self, chosen: &Tensor, reversed: &Tensor, either_strand: bool) -> DeviceBatch {
        let codes = self.codes.index_select(0, chosen);
        let codes = if either_strand { reverse_complements(&codes).where_self(reversed, &codes) } else { codes };
        let labels = self.labels.index_select(0, chosen);
        let labels = if either_strand && !self.mirrored.is_empty() {
            mirrored(labels.shallow_clone(), &self.mirrored).where_self(reversed, &labels)
        } else {
            labels
        };
        DeviceBatch { codes, labels, n: chosen.size()[0] as usize }
    }
}

impl DeviceExamples {
    /// Takes examples to a GPU, if they are in memory and not too many; on the CPU they are where they should be, and where the GPU
    /// refuses them they go there batch by batch.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn on(device: Device, examples: &Examples) -> Result<Option<Self>> {
        let Device::Cuda(index) = device else { return Ok(None) };
        let fits = cuda::memory(index).is_some_and(|(free, _)| bytes(examples) <= free / SHARE);
        if !fits || !examples.is_in_memory() {
            return Ok(None);
        }
        // Without a part that was refused in the middle the memory is free again.
        match catch_unwind(AssertUnwindSafe(|| Self::new(device, examples))) {
            Ok(there) => there.map(Some),
            Err(panic) => {
                let why = cuda::message_of_panic(&*panic);
                Progress::Quiet
                    .warn(&format!("the training set does not stay on the GPU ({why}); batches go there one by one"));
                Ok(None)
            }
        }
    }

    pub(super) fn new(device: Device, examples: &Examples) -> Result<Self> {
        let (n, length) = (examples.len() as i64, examples.length as i64);
        let empty = |shape: [i64; 2], kind| Tensor::zeros(shape, (kind, device));
        let of = Tensors {
            codes: empty([n, length], Kind::Uint8),
            labels: empty([n, examples.targets().len() as i64 / n.max(1)], Kind::Float),
            mirrored: examples.mirrored_targets(),
            order: empty([n, 1], Kind::Int64).view(-1),
            reversed: empty([n, 1], Kind::Bool),
        };
        of.fill(examples)?;
        Ok(Self(Rc::new(of)))
    }

    /// Takes other examples of the same shape to where these are, because recorded steps read them there; false where they have another
    /// shape.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn renew(&self, examples: &Examples) -> Result<bool> {
        let (codes, labels) = (&self.0.codes, &self.0.labels);
        let fits = codes.size() == [examples.len() as i64, examples.length as i64]
            && labels.numel() == examples.targets().len();
        if fits && examples.is_in_memory() {
            self.0.fill(examples)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The batches of an epoch, the same as `batches::shuffled` gives; nothing where examples are changed in ways that only
    /// that knows. They are of the epoch that was asked for last.
    pub fn shuffled(&self, order: Order) -> Option<impl Iterator<Item = IndexedBatch>> {
        let of = self.0.clone();
        let (n, device) = (of.codes.size()[0] as usize, of.codes.device());
        let reversed = order.reversed(n)?;
        let indices: Vec<i64> = order.indices(n).into_iter().map(|index| index as i64).collect();
        of.order.shallow_clone().copy_(&device::to_device(&indices, device));
        let either_strand = order.augmentation.either_strand;
        if either_strand {
            of.reversed.shallow_clone().copy_(&device::to_device(&reversed, device).unsqueeze(1));
        }
        let batch = move |number: usize| {
            let part = order.part(number, n);
            IndexedBatch { of: of.clone(), either_strand, first: part.start, n: part.len() }
        };
        Some((0..n.div_ceil(order.batch_size)).map(batch))
    }
}

/// Bytes that examples take on a GPU: codes, labels, and the order of an epoch.
fn bytes(examples: &Examples) -> u64 {
    let (n, labels) = (examples.len() as u64, examples.targets().len() as u64);
    n * (examples.length as u64 + size_of::<i64>() as u64 + 1) + labels * size_of::<f32>() as u64
}

/// The reverse complements of codes u8 `[n, length]`.
fn reverse_complements(codes: &Tensor) -> Tensor {
    // 3 - code, and 7 for what is unknown.
    codes.bitwise_xor(3).clamp_max(i64::from(UNKNOWN)).flip([1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandnet_core::dataset::batches;
    use strandnet_core::dataset::batches::{Augmentation, Share};
    use strandnet_core::dataset::examples::ExamplesWriter;
    use strandnet_core::sequence::bins::Bins;

    #[test]
    fn batches_are_those_that_the_cpu_gathers() {
        let codes: Vec<u8> = (0..100 * 9).map(|i| (i * i % 11 % 5) as u8).collect();
        let labels: Vec<f32> = (0..200).map(|i| i as f32).collect();
        let examples = Examples::from_codes(&codes, 9, &labels);
        let on_device = DeviceExamples::new(Device::Cpu, &examples).unwrap();
        for either_strand in [false, true] {
            let augmentation = Augmentation { either_strand, ..Augmentation::default() };
            let order = Order { batch_size: 32, augmentation, seed: 3, epoch: 2, share: Share::ALL };
            let found: Vec<DeviceBatch> = on_device.shuffled(order).unwrap().map(|batch| batch.gather()).collect();
            let expected: Vec<batches::Batch> =
                std::thread::scope(|scope| batches::shuffled(scope, &examples, order).map(Result::unwrap).collect());
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!((found.n, found.labels.size()), (expected.n, vec![expected.n as i64, 2]));
                assert_eq!(Vec::<u8>::try_from(found.codes.flatten(0, -1)).unwrap(), expected.codes);
                assert_eq!(Vec::<f32>::try_from(found.labels.flatten(0, -1)).unwrap(), expected.labels);
            }
            // The second batch, from the first one's place.
            let first = on_device.shuffled(order).unwrap().next().unwrap();
            let second = first.gathered(&(Tensor::arange(32, (Kind::Int64, Device::Cpu)) + 32));
            assert_eq!((&second.codes, &second.labels), (&found[1].codes, &found[1].labels));
        }
    }

    #[test]
    fn bins_turn_with_their_sequence_as_on_the_cpu() {
        let codes: Vec<u8> = (0..40 * 6).map(|i| (i * i % 13 % 4) as u8).collect();
        let of_each = Bins { count: 3, bp: 2 };
        let mut writer = ExamplesWriter::new(6, 2, u64::MAX).with_bins(Some(of_each));
        for (i, codes) in codes.chunks(6).enumerate() {
            writer.push(codes, &[0.0; 2], Examples::from_codes(codes, 6, &[0.0; 2]).origins[0].clone()).unwrap();
            writer.push_bins(&std::array::from_fn::<f32, 6, _>(|at| (i * 6 + at) as f32));
        }
        let examples = writer.finish().unwrap();
        let on_device = DeviceExamples::new(Device::Cpu, &examples).unwrap();
        let augmentation = Augmentation { either_strand: true, ..Augmentation::default() };
        let order = Order { batch_size: 16, augmentation, seed: 3, epoch: 1, share: Share::ALL };
        let expected: Vec<batches::Batch> =
            std::thread::scope(|scope| batches::shuffled(scope, &examples, order).map(Result::unwrap).collect());
        let mut flipped = 0;
        for (found, expected) in on_device.shuffled(order).unwrap().map(|batch| batch.gather()).zip(expected) {
            assert_eq!(Vec::<u8>::try_from(found.codes.flatten(0, -1)).unwrap(), expected.codes);
            assert_eq!(Vec::<f32>::try_from(found.labels.flatten(0, -1)).unwrap(), expected.labels);
            for (codes, values) in expected.codes.chunks(6).zip(expected.labels.chunks(6)) {
                let first = values.iter().copied().fold(f32::INFINITY, f32::min);
                let is_flipped = values[0] > first;
                let own: Vec<f32> =
                    if is_flipped { vec![2.0, 1.0, 0.0, 5.0, 4.0, 3.0] } else { (0..6u8).map(f32::from).collect() };
                assert_eq!(values.iter().map(|value| value - first).collect::<Vec<_>>(), own);
                let example = first as usize / 6;
                let mut given = codes.to_vec();
                if is_flipped {
                    strandnet_core::sequence::alphabet::reverse_complement(&mut given);
                }
                assert_eq!(given, &examples.all_codes().unwrap()[example * 6..example * 6 + 6]);
                flipped += usize::from(is_flipped);
            }
        }
        assert!((5..36).contains(&flipped), "{flipped}");
    }

    #[test]
    fn other_examples_of_the_same_shape_take_the_place_of_these() {
        let of = |code: u8, n: usize| Examples::from_codes(&vec![code; n * 4], 4, &vec![f32::from(code); n * 2]);
        let on_device = DeviceExamples::new(Device::Cpu, &of(1, 10)).unwrap();
        let order =
            Order { batch_size: 4, augmentation: Augmentation::default(), seed: 1, epoch: 1, share: Share::ALL };
        let batch = on_device.shuffled(order).unwrap().next().unwrap();
        assert!(on_device.renew(&of(2, 10)).unwrap());
        let DeviceBatch { codes, labels, .. } = batch.gather();
        assert_eq!((codes.int64_value(&[3, 3]), labels.double_value(&[3, 1])), (2, 2.0));
        assert!(!on_device.renew(&of(3, 11)).unwrap());
    }

    #[test]
    fn labels_count_as_well_as_codes() {
        let examples = Examples::from_codes(&[0; 4 * 10], 4, &[0.0; 10 * 3]);
        assert_eq!(bytes(&examples), 10 * (4 + 8 + 1) + 30 * 4);
    }

    #[test]
    fn what_only_the_cpu_does_is_left_to_it() {
        let examples = Examples::from_codes(&[0; 40], 4, &[0.0; 10]);
        assert!(DeviceExamples::on(Device::Cpu, &examples).unwrap().is_none());
        let on_device = DeviceExamples::new(Device::Cpu, &examples).unwrap();
        for augmentation in [
            Augmentation { shift: 1, ..Augmentation::default() },
            Augmentation { mutate: 0.1, ..Augmentation::default() },
        ] {
            assert!(
                on_device
                    .shuffled(Order { batch_size: 4, augmentation, seed: 1, epoch: 1, share: Share::ALL })
                    .is_none()
            );
        }
    }
}
