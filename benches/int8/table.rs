//! Times, and what they say of the whole trunk.

use std::time::{Duration, Instant};

use gstdensepose::kernels::{simd::Isa, simd8::Isa8};

use super::{
    runs::{Run, depthwise, float, pointwise},
    trunk::{Layer, Shape},
    units::{Maddubs, Vnni256, Vnni512},
};

/// Rounds that take turns, of which the median counts, and the least time that one takes.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(1);

/// From which gain on 8 bits are worth their while.
const WORTH: f64 = 1.5;

/// Seconds with each kernel, `None` where there is none.
struct Times {
    /// With AVX2, and with the best that the processor has.
    float: [Option<f64>; 2],
    bytes: [Option<f64>; 3],
}

fn measure(layer: &Layer) -> Times {
    let avx2 = Isa::available().find(|isa| isa.lanes() == 8);
    let mut runs: Vec<Option<Run>> = vec![avx2.map(|isa| float(isa, *layer)), Some(float(Isa::best(), *layer))];
    // With AVX2, and VNNI with vectors of both lengths.
    for (greatest, lanes) in [(127, 8), (255, 8), (255, 16)] {
        let isa = Isa8::available().find(|isa| (isa.greatest(), isa.lanes()) == (greatest, lanes));
        let bytes = match (greatest, lanes) {
            (127, _) => depthwise::<Maddubs>(*layer),
            (_, 8) => depthwise::<Vnni256>(*layer),
            _ => depthwise::<Vnni512>(*layer),
        };
        runs.push(isa.and_then(|isa| pointwise(isa, *layer)).or(bytes));
    }
    let mut once: Vec<u32> = Vec::new();
    for run in runs.iter_mut() {
        let mut times = 0;
        if let Some(run) = run {
            run();
            let start = Instant::now();
            while start.elapsed() < ROUND {
                run();
                times += 1;
            }
        }
        once.push(times);
    }
    let mut seconds = vec![Vec::new(); 5];
    for _ in 0..ROUNDS {
        for (i, run) in runs.iter_mut().enumerate() {
            if let Some(run) = run {
                let start = Instant::now();
                (0..once[i]).for_each(|_| run());
                seconds[i].push(start.elapsed().as_secs_f64() / f64::from(once[i]));
            }
        }
    }
    let mut median = seconds.into_iter().map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied()
    });
    let mut next = || median.next().flatten();
    Times { float: [next(), next()], bytes: [next(), next(), next()] }
}

/// Sums of times of float kernels and of 8-bit kernels, of pointwise, depthwise and other layers.
#[derive(Default, Clone, Copy)]
struct Sum {
    float: [f64; 3],
    bytes: [f64; 3],
}

pub fn print(layers: &[Layer]) {
    println!(
        "\nTimes of one layer in microseconds (float32), and how many times as fast 8-bit kernels are: those with AVX2 \
         beside float32 with AVX2,\nthose with VNNI beside the best float32 ({:?}).\n",
        Isa::best()
    );
    println!(
        "{:<38}{:>6}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "layer", "count", "AVX2", "best", "AVX2", "VNNI-256", "VNNI-512"
    );
    let mut sums = [Sum::default(); 4];
    let mut multiplications = 0;
    for layer in layers {
        let times = measure(layer);
        multiplications += layer.count * layer.multiplications();
        let [avx2, best] = times.float;
        let base = [avx2, best, best];
        let microseconds = |time: Option<f64>| time.map_or("-".into(), |time| format!("{:.1}", time * 1e6));
        print!("{:<38}{:>6}{:>10}{:>10}", name(layer), layer.count, microseconds(avx2), microseconds(best));
        for (float, bytes) in base.iter().zip(times.bytes) {
            let ratio = float.zip(bytes).map_or("-".into(), |(float, bytes)| format!("{:.2}", float / bytes));
            print!("{ratio:>10}");
        }
        println!();
        let kind = match layer.shape {
            Shape::Pointwise { .. } => 0,
            Shape::Depthwise { .. } => 1,
            Shape::Stem { .. } => 2,
        };
        let [avx2, vnni256, vnni512] = times.bytes;
        // Each layer with the better of both lengths of vectors.
        let vnni = vnni256.into_iter().chain(vnni512).reduce(f64::min);
        let chosen = [avx2, vnni256, vnni512.or(vnni256), vnni];
        for ((sum, bytes), float) in sums.iter_mut().zip(chosen).zip(base.into_iter().chain([base[2]])) {
            let Some(float) = float else { continue };
            sum.float[kind] += float * layer.count as f64;
            sum.bytes[kind] += bytes.unwrap_or(float) * layer.count as f64;
        }
    }
    println!("\nAll layers of the trunk ({:.0} million multiplications), one thread:\n", multiplications as f64 / 1e6);
    println!(
        "{:<28}{:>14}{:>14}{:>12}{:>12}  at least {WORTH}",
        "", "float32, ms", "8 bits, ms", "pointwise", "depthwise"
    );
    for (label, sum) in ["AVX2", "VNNI, 256 bits", "VNNI, 512 bits", "VNNI, better of both"].iter().zip(sums) {
        let [pointwise, depthwise] = [0, 1].map(|kind| sum.float[kind] / sum.bytes[kind]);
        let verdict = |ratio: f64| if ratio >= WORTH { "yes" } else { "no" };
        let times = |sums: [f64; 3]| format!("{:.1} + {:.1}", sums[0] * 1e3, sums[1] * 1e3);
        println!(
            "{label:<28}{:>14}{:>14}{pointwise:>12.2}{depthwise:>12.2}  {}, {}",
            times(sum.float),
            times(sum.bytes),
            verdict(pointwise),
            verdict(depthwise)
        );
    }
}

fn name(layer: &Layer) -> String {
    let Layer { rows, columns, .. } = layer;
    match layer.shape {
        Shape::Stem { channels } => format!("{rows}x{columns} dense 3x3/2 3->{channels}"),
        Shape::Pointwise { depth, columns: results } => format!("{rows}x{columns} {depth}->{results}"),
        Shape::Depthwise { channels, kernel, stride } => {
            format!("{rows}x{columns} depthwise {channels} {kernel}x{kernel}/{stride}")
        }
    }
}
