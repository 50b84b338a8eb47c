// An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
// form that this CRM wants. Calls of internal numbers are skipped.

import type * as About from 'callhook:plugin/about@1.0.0';
import type * as Transform from 'callhook:plugin/transform@1.0.0';
import type { CallEvent, EventKind, HttpRequest } from 'callhook:plugin/types@1.0.0';
import { get as setting } from 'callhook:plugin/settings@1.0.0';

/** What the CRM gets. */
interface Body {
  call: string;
  event: 'ringing' | 'answered' | 'ended';
  direction: string;
  /** `null` if withheld. */
  number: string | null;
  name: string | null;
  extension: string;
  answered: boolean;
  at: string;
}

export const about: typeof About = {
  describe() {
    return {
      name: 'example-typescript',
      version: '0.1.0',
      summary: 'Sends every event as a JSON POST',
      settings: [
        {
          name: 'source',
          help: 'what the CRM shows as the origin',
          default: 'callhook',
          required: false,
          secret: false,
        },
      ],
    };
  },

  check() {
    const source = setting('source');
    if (!source) return [{ setting: 'source', message: 'it must not be empty' }];
    if (!/^[ -~]*$/.test(source)) {
      const message = 'it must be plain ASCII, because it is sent as a header';
      return [{ setting: 'source', message }];
    }
    return [];
  },
};

export const transform: typeof Transform = {
  transform(event: CallEvent, draft: HttpRequest): Transform.Outcome {
    const number = digits(event.callerId);
    const isShort = number.length >= 1 && number.length <= 5;
    if (event.direction === 'internal' || isShort) return skip('an internal number');
    const happened = whatHappened(event.kind);
    if (!happened) return skip('not of interest');

    const body: Body = {
      call: event.id,
      event: happened.name,
      direction: event.direction,
      number: number ? '+' + number : null,
      name: event.callerName ?? null,
      extension: event.user.number,
      answered: happened.answered,
      at: event.occurredAt.text,
    };
    const request: HttpRequest = {
      ...draft,
      method: 'POST',
      headers: [
        { name: 'content-type', value: 'application/json' },
        { name: 'x-source', value: setting('source') ?? '' },
      ],
      body: utf8(JSON.stringify(body)),
    };
    return { tag: 'send', val: [request] };
  },
};

function skip(reason: string): Transform.OutcomeSkip {
  return { tag: 'skip', val: reason };
}

function whatHappened(kind: EventKind): { name: Body['event']; answered: boolean } | undefined {
  switch (kind.tag) {
    case 'ringing':
      return { name: 'ringing', answered: false };
    case 'started':
      return { name: 'answered', answered: true };
    case 'ended':
      return { name: 'ended', answered: kind.val.talkMs != null };
    default:
      return undefined;
  }
}

/** The digits of a number, without the `00` of an international call. */
function digits(number: string): string {
  return number.replace(/[^0-9]/g, '').replace(/^00/, '');
}

/** A body is bytes. QuickJS has no TextEncoder, so `unescape` makes one character of each byte. */
function utf8(text: string): Uint8Array {
  const bytes: Iterable<string> = unescape(encodeURIComponent(text));
  return Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
}
