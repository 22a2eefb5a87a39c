//! Training examples that stay on a GPU: an epoch takes nothing there but the order it goes through them in.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use crate::device;
use crate::train::loader::DeviceBatch;
use strandnet_core::dataset::batches::Order;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::sequence::alphabet::UNKNOWN;

/// Bytes of sequence up to which they stay there. Networks take the rest of the memory, and beyond this a batch's way to the
/// device is short beside its way through a network.
const MOST: u64 = 4 << 30;
/// Bytes of sequence on their way at a time.
const PART: usize = 64 << 20;

/// Codes and labels of all training examples on a device.
#[derive(Debug)]
pub struct DeviceExamples {
    /// u8 `[n, length]`
    codes: Tensor,
    /// f32 `[n, width]`
    labels: Tensor,
}

impl DeviceExamples {
    /// Takes examples to a GPU, if they are in memory and not too many; on the CPU they are where they should be.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn on(device: Device, examples: &Examples) -> Result<Option<Self>> {
        let bytes = examples.len() as u64 * examples.length as u64;
        let stays = device != Device::Cpu && examples.is_in_memory() && bytes <= MOST;
        stays.then(|| Self::new(device, examples)).transpose()
    }

    fn new(device: Device, examples: &Examples) -> Result<Self> {
        let (n, length) = (examples.len() as i64, examples.length as i64);
        let codes = Tensor::empty([n, length], (Kind::Uint8, device));
        examples.for_each_batch(PART / examples.length.max(1), |first, part| {
            let part = device::to_device(part, device).view([-1, length]);
            codes.narrow(0, first as i64, part.size()[0]).copy_(&part);
            Ok(())
        })?;
        let labels = device::to_device(&examples.labels, device).view([n, -1]);
        Ok(Self { codes, labels })
    }

    /// The batches of an epoch, the same as `batches::shuffled` gives; nothing where examples are changed in ways that only
    /// that knows.
    pub fn shuffled(&self, order: Order) -> Option<impl Iterator<Item = DeviceBatch>> {
        let (n, device) = (self.codes.size()[0] as usize, self.codes.device());
        let reversed = order.reversed(n)?;
        let reversed = reversed.contains(&true).then(|| device::to_device(&reversed, device).unsqueeze(1));
        let indices: Vec<i64> = order.indices(n).into_iter().map(|index| index as i64).collect();
        let indices = device::to_device(&indices, device);
        let batch = move |first: usize| {
            let size = order.batch_size.min(n - first);
            let own = |tensor: &Tensor| tensor.narrow(0, first as i64, size as i64);
            let chosen = own(&indices);
            let codes = self.codes.index_select(0, &chosen);
            let codes = match &reversed {
                Some(reversed) => reverse_complements(&codes).where_self(&own(reversed), &codes),
                None => codes,
            };
            DeviceBatch { codes, labels: self.labels.index_select(0, &chosen), n: size }
        };
        Some((0..n).step_by(order.batch_size).map(batch))
    }
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
    use strandnet_core::dataset::batches::Augmentation;

    #[test]
    fn batches_are_those_that_the_cpu_gathers() {
        let codes: Vec<u8> = (0..100 * 9).map(|i| (i * i % 11 % 5) as u8).collect();
        let labels: Vec<f32> = (0..200).map(|i| i as f32).collect();
        let examples = Examples::from_codes(&codes, 9, &labels);
        let on_device = DeviceExamples::new(Device::Cpu, &examples).unwrap();
        for either_strand in [false, true] {
            let augmentation = Augmentation { either_strand, ..Augmentation::default() };
            let order = Order { batch_size: 32, augmentation, seed: 3, epoch: 2 };
            let found: Vec<DeviceBatch> = on_device.shuffled(order).unwrap().collect();
            let expected: Vec<batches::Batch> =
                std::thread::scope(|scope| batches::shuffled(scope, &examples, order).map(Result::unwrap).collect());
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!((found.n, found.labels.size()), (expected.n, vec![expected.n as i64, 2]));
                assert_eq!(Vec::<u8>::try_from(found.codes.flatten(0, -1)).unwrap(), expected.codes);
                assert_eq!(Vec::<f32>::try_from(found.labels.flatten(0, -1)).unwrap(), expected.labels);
            }
        }
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
            assert!(on_device.shuffled(Order { batch_size: 4, augmentation, seed: 1, epoch: 1 }).is_none());
        }
    }
}
