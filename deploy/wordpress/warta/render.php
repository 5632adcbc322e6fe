<?php
/**
 * A feed as a list in HTML. All texts come from outside: every one is escaped where it is printed. Dates are absolute,
 * since page caches keep what is printed here for hours.
 *
 * @package Warta
 */

defined( 'ABSPATH' ) || exit;

/** The list that was $asked for (warta_clean); $feed and $status as the server sent them, $now in seconds. */
function warta_render_list( array $asked, $feed, array $status, $now ) {
	$own  = 'en' === ( $feed['language'] ?? 'id' ) ? 'en' : 'id';
	$lang = '' !== $asked['lang'] ? $asked['lang'] : $own;
	$page = warta_base() . "feeds/{$asked['feed']}.html";
	$html = '' === $asked['title'] ? '' : '<p class="warta-title">' . warta_escape( $asked['title'] ) . '</p>';
	if ( ! is_array( $feed ) || ! is_array( $feed['items'] ?? null ) ) {
		$told = warta_say( $lang, 'Daftar paket sedang tidak dapat dimuat.', 'The list of packages cannot be loaded right now.' );
		return $html . '<p class="warta-note">' . warta_escape( $told ) . ' ' . warta_link( $page, 'Warta Pengadaan' ) . '</p>';
	}
	if ( true === ( $status['sample'] ?? false ) ) {
		$told  = warta_say( $lang, 'Data contoh: semua nama, nilai, dan tanggal karangan.', 'Sample data: all names, values and dates are made up.' );
		$html .= '<p class="warta-note">' . warta_escape( $told ) . '</p>';
	}
	$rows = array_slice( warta_rows( $feed['items'], $status, $now ), 0, $asked['items'] );
	$list = '';
	foreach ( $rows as $row ) {
		$list .= warta_render_row( $row, $lang, $now );
	}
	$empty = '<p class="warta-note">' . warta_escape( warta_say( $lang, 'Belum ada isi.', 'Nothing now.' ) ) . '</p>';
	$html .= '' === $list ? $empty : "<ol class=\"warta-rows\" lang=\"$own\">$list</ol>";
	return $html . warta_render_foot( $asked, $status, $rows, $page, $lang );
}

/**
 * Rows as they are shown: closing soonest first, then without a day; what is closed only where nothing else is left.
 * News stays as it is.
 */
function warta_rows( array $items, array $status, $now ) {
	$reads   = array_column( is_array( $status['portals'] ?? null ) ? $status['portals'] : array(), 'read', 'id' );
	$rows    = array();
	$is_news = false;
	foreach ( array_values( array_filter( $items, 'is_array' ) ) as $at => $item ) {
		$about   = is_array( $item['_warta'] ?? null ) ? $item['_warta'] : array();
		$news    = isset( $about['changes'] ) || ! isset( $about['kind'] );
		$is_news = $is_news || $news;
		$closes  = $news ? null : warta_time( $about['deadline'] ?? $about['registration_deadline'] ?? null );
		$stamp   = $closes ? $closes->getTimestamp() : 0;
		$read    = warta_time( $reads[ warta_text( $about['portal'] ?? '' ) ] ?? null );
		$time    = $news ? warta_time( $item['date_published'] ?? null ) : $closes;
		$rank    = ! $closes ? array( 1, 0 ) : ( $stamp > $now ? array( 0, $stamp ) : array( 2, -$stamp ) );
		$rows[]  = array(
			'item'   => $item,
			'about'  => $about,
			'closes' => $closes,
			'time'   => $time && $read ? $time->setTimezone( $read->getTimezone() ) : $time,
			'rank'   => array_merge( $rank, array( $at ) ),
		);
	}
	if ( ! $is_news ) {
		usort(
			$rows,
			static function ( $one, $other ) {
				return $one['rank'] <=> $other['rank'];
			}
		);
	}
	$open = array_filter(
		$rows,
		static function ( $row ) {
			return $row['rank'][0] < 2;
		}
	);
	return $open ? $open : $rows;
}

function warta_render_row( array $row, $lang, $now ) {
	$title = warta_link( warta_page( $row['item'], $row['about'] ), warta_text( $row['item']['title'] ?? '' ) );
	$about = warta_text( $row['about']['about'] ?? '' );
	$time  = $row['time'];
	$html  = "<li>$title";
	if ( '' !== $about ) {
		$html .= ' <span class="warta-about">' . warta_escape( $about ) . '</span>';
	}
	if ( $time ) {
		$open  = $time->getTimestamp() > $now;
		$label = $open ? warta_say( $lang, 'Batas akhir', 'Closes' ) : warta_say( $lang, 'Ditutup', 'Closed' );
		$label = $row['closes'] ? "$label " : '';
		$html .= ' <span class="warta-when" lang="' . $lang . '">' . warta_escape( $label ) . '<time datetime="' . esc_attr( $time->format( 'c' ) ) . '">' . warta_escape( warta_tell_time( $time, $lang ) ) . '</time></span>';
	}
	return $html . '</li>';
}

function warta_render_foot( array $asked, array $status, array $rows, $page, $lang ) {
	$list  = $page;
	$count = 0;
	foreach ( is_array( $status['feeds'] ?? null ) ? $status['feeds'] : array() as $each ) {
		if ( ( $each['id'] ?? '' ) === $asked['feed'] ) {
			$list  = warta_text( $each['list'] ?? $page );
			$count = (int) ( $each['packages'] ?? 0 );
		}
	}
	$told  = $count > $asked['items'] ? "$count " : ''; // else all of them stand above
	$all   = $count ? warta_say( $lang, "Semua {$told}paket", "All {$told}packages" ) : warta_say( $lang, 'Semua', 'All' );
	$parts = array( warta_link( $list, $all ), warta_link( $page, warta_say( $lang, 'Langganan', 'Subscribe' ) ) );
	$read  = warta_find_reading( $rows, $status );
	if ( $read ) {
		$told = warta_say( $lang, 'Dibaca dari', 'Read from' ) . " {$read['name']} " . warta_tell_time( $read['time'], $lang );
		array_unshift( $parts, '<span>' . warta_escape( $told ) . '</span>' );
	}
	return '<p class="warta-foot">' . implode( ' · ', $parts ) . '</p>';
}

/** The portal of these rows that was read longest ago: its time holds for all of them. Null when none is known. */
function warta_find_reading( array $rows, array $status ) {
	$shown  = array_column( array_column( $rows, 'about' ), 'portal' );
	$oldest = null;
	foreach ( is_array( $status['portals'] ?? null ) ? $status['portals'] : array() as $portal ) {
		$time = warta_time( $portal['read'] ?? null );
		if ( $time && in_array( $portal['id'] ?? '', $shown, true ) && ( ! $oldest || $time < $oldest['time'] ) ) {
			$oldest = array(
				'name' => warta_text( $portal['name'] ?? '' ),
				'time' => $time,
			);
		}
	}
	return $oldest;
}

/** The page of the package on the Warta site; news leads to where it was published. */
function warta_page( array $item, array $about ) {
	$place = array( warta_text( $about['portal'] ?? '' ), warta_text( $about['kind'] ?? '' ), warta_text( $about['key'] ?? '' ) );
	if ( 'news' !== $place[1] && 3 === count( preg_grep( '/^[A-Za-z0-9][A-Za-z0-9._~-]{0,79}$/D', $place ) ) ) {
		return warta_base() . 'tenders/' . implode( '/', $place ) . '.html';
	}
	return is_string( $item['url'] ?? null ) ? $item['url'] : warta_base();
}

function warta_link( $url, $text ) {
	return '<a href="' . esc_url( $url, array( 'http', 'https' ) ) . '">' . warta_escape( $text ) . '</a>';
}

/** For HTML, and without brackets: WordPress looks for shortcodes in what blocks print. */
function warta_escape( $text ) {
	return strtr(
		esc_html( $text ),
		array(
			'[' => '&#91;',
			']' => '&#93;',
		)
	);
}

/** 3 Des 2026, 14.00 WIB, in the zone that the time was written in: the portal's. */
function warta_tell_time( DateTimeImmutable $time, $lang ) {
	$months = 'id' === $lang ? 'Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des' : 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec';
	$hours  = $time->getOffset() / HOUR_IN_SECONDS;
	$zones  = array( 7 => 'WIB', 8 => 'WITA', 9 => 'WIT' );
	$zone   = $zones[ (int) $hours ] ?? sprintf( 'UTC%+g', $hours );
	$month  = explode( ' ', $months )[ (int) $time->format( 'n' ) - 1 ];
	return $time->format( 'j ' ) . $month . $time->format( 'id' === $lang ? ' Y, H.i' : ' Y, H:i' ) . "\u{a0}$zone";
}

/** An ISO time with its offset; null for anything else. */
function warta_time( $iso ) {
	if ( ! is_string( $iso ) || ! preg_match( '/^\d{4}-\d\d-\d\dT\d\d:\d\d/', $iso ) ) {
		return null;
	}
	try {
		return new DateTimeImmutable( $iso );
	} catch ( Exception $error ) {
		return null;
	}
}

function warta_text( $text ) {
	return is_string( $text ) ? $text : '';
}

function warta_say( $lang, $indonesian, $english ) {
	return 'en' === $lang ? $english : $indonesian;
}
