//! The requests of one window: each arrival with the values that are dealt to it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{
    density::{Densities, Density},
    stride::{Deal, Stride},
    window::Window,
};
use crate::emit::record::{Content, Record, WorkloadEvent};

/// What all events of a client share.
pub struct Identity {
    /// `category/model/chunk-N`, as far as the path has them.
    pub name: String,
    /// The directory that holds the client.
    pub model: Arc<str>,
    /// From the command line, or `servegen`.
    pub service: Arc<str>,
}

/// The requests of one window.
pub struct Requests {
    window_s: u64,
    count: u64,
    index: u64,
    arrivals: Window,
    input: Stride,
    output: Stride,
    reason_ratio: Stride,
    image: Option<Media>,
    audio: Option<Media>,
    video: Option<Media>,
}

impl Requests {
    /// The requests of the window that starts at second `window_s`, at these arrivals.
    pub fn new(window_s: u64, requests: u64, arrivals: Window, densities: &Densities) -> Self {
        let media = |densities: Option<&(Density, Density)>, counts, tokens| {
            densities.map(|(density, _)| Media::new(density, requests, counts, tokens))
        };
        Self {
            window_s,
            count: requests,
            index: 0,
            arrivals,
            input: Stride::new(Deal::Input, requests),
            output: Stride::new(Deal::Output, requests),
            reason_ratio: Stride::new(Deal::ReasonRatio, requests),
            image: media(densities.image.as_ref(), Deal::ImageCount, Deal::Image),
            audio: media(densities.audio.as_ref(), Deal::AudioCount, Deal::Audio),
            video: media(densities.video.as_ref(), Deal::VideoCount, Deal::Video),
        }
    }

    /// The next one; `densities` are those that the window was opened with.
    pub fn next(&mut self, densities: &Densities) -> Option<Request> {
        let time_us = self.arrivals.next()?;
        let (index, requests) = (self.index, self.count);
        self.index += 1;
        let deal = |density: &Option<Density>, order: Stride| {
            density
                .as_ref()
                .map(|density| density.value(order.at(index), requests))
        };
        let text_tokens = deal(&densities.text_tokens, self.input).map(|tokens| tokens as u64);
        let output_tokens = deal(&densities.output_tokens, self.output).map(|tokens| tokens as u64);
        let reason_ratio = deal(&densities.reason_ratio, self.reason_ratio);
        let tokens = |media: &mut Option<Media>, densities: &Option<(Density, Density)>| {
            Some(media.as_mut()?.tokens(index, requests, densities.as_ref()?))
        };
        let attributes = text_tokens.map(|text_tokens| Composition {
            text: text_tokens,
            images: tokens(&mut self.image, &densities.image).unwrap_or_default(),
            audio: tokens(&mut self.audio, &densities.audio).unwrap_or_default(),
            videos: tokens(&mut self.video, &densities.video).unwrap_or_default(),
        });
        let input_tokens = match &attributes {
            Some(composition) => Some(composition.sum()),
            None => deal(&densities.input_tokens, self.input).map(|tokens| tokens as u64),
        };
        let reasoning_tokens = output_tokens
            .zip(reason_ratio)
            .map(|(tokens, ratio)| (tokens as f64 * ratio + 0.5).floor() as u64);
        let window_s = self.window_s;
        Some(Request {
            window_s,
            index,
            time_us,
            input_tokens,
            output_tokens,
            reasoning_tokens,
            attributes,
        })
    }
}

/// Images, audio or video of the requests of one window: each piece has a place in the order of its own.
struct Media {
    counts: Stride,
    tokens: Stride,
    pieces: u64,
    next: u64,
}

impl Media {
    fn new(count: &Density, requests: u64, counts: Deal, tokens: Deal) -> Self {
        let pieces: u64 = (0..requests).map(|rank| count.count(rank, requests)).sum();
        Self {
            counts: Stride::new(counts, requests),
            tokens: Stride::new(tokens, pieces.max(1)),
            pieces,
            next: 0,
        }
    }

    /// The tokens of each piece of the request at `index`.
    fn tokens(
        &mut self,
        index: u64,
        requests: u64,
        (count, tokens): &(Density, Density),
    ) -> Vec<u64> {
        let pieces = count.count(self.counts.at(index), requests);
        let piece = |_| {
            let rank = self.tokens.at(self.next);
            self.next += 1;
            tokens.count(rank, self.pieces)
        };
        (0..pieces).map(piece).collect()
    }
}

/// What a multimodal request consists of, in tokens; kept in the event's `attributes`.
#[derive(Serialize)]
struct Composition {
    #[serde(rename = "text_tokens")]
    text: u64,
    #[serde(rename = "image_tokens", skip_serializing_if = "Vec::is_empty")]
    images: Vec<u64>,
    #[serde(rename = "audio_tokens", skip_serializing_if = "Vec::is_empty")]
    audio: Vec<u64>,
    #[serde(rename = "video_tokens", skip_serializing_if = "Vec::is_empty")]
    videos: Vec<u64>,
}

impl Composition {
    fn sum(&self) -> u64 {
        let media = [&self.images, &self.audio, &self.videos];
        self.text + media.into_iter().flatten().sum::<u64>()
    }
}

/// One request, as the parameters describe it.
pub struct Request {
    window_s: u64,
    index: u64,
    time_us: i64,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    attributes: Option<Composition>,
}

impl Request {
    /// The event of this request.
    pub fn into_record(self, client: &Identity) -> Record {
        let event_id = format!("{}/{}/{}", client.name, self.window_s, self.index);
        let mut event = WorkloadEvent::new(event_id, Arc::clone(&client.service));
        event.user_id = Some(client.name.clone());
        event.request_model = (!client.model.is_empty()).then(|| Arc::clone(&client.model));
        event.input_tokens = self.input_tokens.map(|tokens| tokens as i64);
        event.output_tokens = self.output_tokens.map(|tokens| tokens as i64);
        event.reasoning_tokens = self.reasoning_tokens.map(|tokens| tokens as i64);
        // A struct of numbers always serialises.
        event.attributes = self
            .attributes
            .and_then(|composition| to_raw_value(&composition).ok());
        Record {
            event_time_us: Some(self.time_us),
            content: Content::Workload(Box::new(event)),
        }
    }
}
